"""AWS on this machine: moto, and what moto leaves out of EC2's behaviour, on a virtual clock.

How it is built, from the outside in:

- `server`, `conductor`, `lambdas`: one process that serves the AWS port and Curfew's own API, and ticks the schedules
  and events that app.py declares (`python -m localaws serve`).
- `control`: the routes under `/_world`, a thin layer over `world.World`.
- `endpoint`: one AWS call from bytes to bytes: faults, throttling (`throttle`), client tokens (`tokens`), then an
  operation of ours or moto.
- `operations/`: the AWS operations this package answers itself, one file a family. Each takes the parsed parameters
  and returns the answer in boto3's shape.
- `boxes`, `spot`, `fleets`, `groups`: the rules of AWS, as state machines over the records of `model`; `launching`
  turns a launch into moto's instances, `backend` and `dynamodb` are the hooks in moto.
- `consistency`: what EC2's answers show late. `guests` lets happen what `guest/`, which is pure, reads from user data.
- `market`, `billing`, `load`: prices, bills and metrics as pure arithmetic; `price_list` has every list price,
  `products` shows them as the Price List API does.
- `account`: what bills beside instances (`disks`, `snapshots`, `addresses`, `requests`); `account_bill` works the bill
  out, `daily` cuts it into days, `late_bill` and `cost_explorer` make it as late as Cost Explorer has it.
- `agenda`, `clock`: time. Nothing moves between two steps of the clock.

A new AWS operation is a function registered in `operations/`; a new rule of AWS goes where its record is looked after.
This package is for tests and demos and is never deployed.
"""
