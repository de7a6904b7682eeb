"""Every trigger of Curfew: HTTP routes, the schedule, EC2's events. Each body hands over to one use case.

All of them stand here: a schedule declared in a Blueprint deploys with a handler that never imports this file.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from chalice.app import Chalice, CloudWatchEvent, Cron, Rate, Request, Response, SQSEvent

from chalicelib import bootstrap
from chalicelib.domain.audit import Change
from chalicelib.domain.guest_heartbeat import SIGNATURE_HEADER
from chalicelib.domain.lease import Receipt
from chalicelib.domain.policy import Policy
from chalicelib.domain.preconditions import budget_tag, lease_tag
from chalicelib.domain.tokens import Needs
from chalicelib.ports import SweepRecord
from chalicelib.usecases import (
    budgets,
    channels,
    end,
    extend,
    health,
    heartbeats,
    images,
    keys,
    launch,
    own,
    own_budgets,
    own_spend,
    policies,
    quotes,
    report,
    saving,
    security_groups,
    snooze,
    tokens,
    transfers,
)
from chalicelib.usecases import digest as digesting
from chalicelib.usecases import expire as expiring
from chalicelib.usecases import spend as spending
from chalicelib.usecases import sweep as sweeping
from chalicelib.web import answers, events, launches, logs, metering, paging, receipts, receive, views
from chalicelib.web import budgets as budget_bodies
from chalicelib.web import heartbeats as heartbeat_bodies
from chalicelib.web import images as image_answers
from chalicelib.web import keys as key_bodies
from chalicelib.web import own as own_answers
from chalicelib.web import quotes as quote_answers
from chalicelib.web import security_groups as group_bodies
from chalicelib.web import snooze as snooze_answers
from chalicelib.web import spend as spend_view
from chalicelib.web import sync as sync_bodies
from chalicelib.web import tokens as token_bodies
from chalicelib.web import transfers as transfer_bodies
from chalicelib.web.about import IF_MATCH, IF_NONE_MATCH, LAUNCH, SIGNATURE, Says
from chalicelib.web.audit import AuditQuery
from chalicelib.web.encode import plain
from chalicelib.web.endpoint import Answer, Call, Door, as_problem
from chalicelib.web.heartbeats import HeartbeatBody
from chalicelib.web.images import ImageRegionQuery, SaveBody
from chalicelib.web.keys import KeyBody, KeyQuery
from chalicelib.web.launch_body import LaunchBody
from chalicelib.web.models import (
    BudgetBody,
    ExtendBody,
    ForceQuery,
    ImageQuery,
    NoBody,
    NoQuery,
    PageQuery,
    QuoteQuery,
    SpendQuery,
    SweepBody,
    WaitQuery,
    length_of,
)
from chalicelib.web.moments import moment
from chalicelib.web.receipts import ReceiptQuery
from chalicelib.web.security_groups import GroupBody, GroupQuery, RegionQuery
from chalicelib.web.sync import SyncBody
from chalicelib.web.tokens import TokenBody
from chalicelib.web.transfers import PartsBody, TransferBody, TransferQuery

logs.set_up()
app = Chalice(app_name="curfew", configure_logs=False)
door = Door(app, services=bootstrap.services, settings=bootstrap.settings)
ENDED = {200: Receipt, 202: Receipt}
HEALTH = health.Health | own_answers.OwnHealthAnswer | answers.HealthWord
SNOOZED = Says(answers={200: snooze_answers.SnoozeAnswer}, refusals=(410,), has_pages=True)
ANY = ["*/*"]
"""What a body is called is judged at the door, which answers problem+json."""


@app.schedule(Rate(1, unit=Rate.MINUTES))
def sweep(event: CloudWatchEvent) -> Any:
    """Look at everything, every minute; what the event says does not matter."""
    del event
    with metering.invocation(door.services):
        return _swept(sweeping.sweep(door.services(), trigger="schedule"))


@app.schedule(Cron("0/15", "*", "*", "*", "?", "*"))
def digest(event: CloudWatchEvent) -> Any:
    """Tell what a day was like, once a date: looked at each quarter of an hour, which every time zone is made of."""
    del event
    with metering.invocation(door.services):
        day = digesting.tell_digest(door.services())
        if day is not None:
            logs.line("digest", day=str(day))
        return {"day": day and str(day)}


@app.on_sqs_message(queue="curfew-ec2-events", name="on_ec2_event", batch_size=10)
def on_ec2_event(event: SQSEvent) -> None:
    """Look at the instances that EC2 has news of, now instead of within a minute."""
    services = door.services()
    with metering.invocation(door.services):
        events.work_off(
            [record.body for record in event],
            lambda subject, news: _swept(sweeping.sweep(services, trigger="event", only=subject, news=news)),
        )


@app.lambda_function(name="expire")
def expire(event: dict[str, str], context: Any) -> dict[str, str]:
    """A timer's call: end the lease that it names, if it is over."""
    del context
    with metering.invocation(door.services):
        told = {"lease": event["lease"], "outcome": expiring.expire(door.services(), event["lease"])}
        logs.line("expire", **told)
        return told


@app.route("/spot-requests", methods=["POST"], content_types=ANY)
@door.endpoint(
    needs=Needs.LAUNCHER,
    body=LaunchBody,
    query=NoQuery,
    says=Says(
        answers={200: answers.QuoteAnswer, 201: answers.LeaseAnswer, 202: answers.LeaseAnswer},
        example=LAUNCH,
    ),
)
def launch_spot_request(call: Call[LaunchBody, NoQuery]) -> Answer:
    """Launch under a lease, or with `dry_run` say what it would hold and what speaks against it."""
    key = receive.idempotency_key(call.headers) or uuid4().hex
    policy, _ = policies.current(call.services)
    order = launches.order_of(
        call.body, policy=policy, home_region=call.services.home_region, source_ip=call.source_ip
    )
    if call.body.dry_run:
        return Answer(body=views.quote(launch.quote(call.services, order, owner=call.owner)))
    lease = launch.launch(
        call.services, order, owner=call.owner, idempotency_key=key, body_hash=launches.body_hash(call.body)
    )
    return launches.launched(call.services, lease)


@app.route("/spot-requests", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.READER,
    body=NoBody,
    query=PageQuery,
    says=Says(answers={200: answers.Seen[answers.SpotRequestAnswer]}),
)
def list_spot_requests(call: Call[NoBody, PageQuery]) -> Answer:
    """Every spot request and fleet seen, ours or not."""
    found = report.spot_requests(call.services, only=call.only)
    return Answer(body=paging.seen(found, views.spot_request, call.query, paging.SPOT_REQUESTS))


@app.route("/spot-requests/{spot_request_id}", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.READER, body=NoBody, query=NoQuery, says=Says(answers={200: answers.SpotRequestAnswer})
)
def show_spot_request(call: Call[NoBody, NoQuery], spot_request_id: str) -> Answer:
    """One spot request or fleet."""
    found = report.spot_request(call.services, spot_request_id, only=call.only)
    return Answer(body=views.spot_request(found))


@app.route("/spot-requests/{spot_request_id}", methods=["DELETE"], content_types=ANY)
@door.endpoint(needs=Needs.LAUNCHER, body=NoBody, query=NoQuery, says=Says(answers=ENDED))
def end_spot_request(call: Call[NoBody, NoQuery], spot_request_id: str) -> Answer:
    """Cancel a request, or end a fleet, and terminate what it runs."""
    receipt = end.end_spot_request(call.services, spot_request_id, by=call.owner, only=call.only)
    return _ended(receipt, call.only)


@app.route("/leases", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.READER,
    body=NoBody,
    query=PageQuery,
    says=Says(answers={200: answers.Seen[answers.LeaseAnswer]}),
)
def list_leases(call: Call[NoBody, PageQuery]) -> Answer:
    """Open and closed leases, newest first."""
    found = report.leases(call.services, limit=call.query.limit, cursor=call.query.cursor, only=call.only)
    return Answer(body=paging.seen(found, views.lease))


@app.route("/leases/{lease_id}", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.READER,
    body=NoBody,
    query=WaitQuery,
    says=Says(answers={200: answers.LeaseAnswer}, has_tag=True),
)
def show_lease(call: Call[NoBody, WaitQuery], lease_id: str) -> Answer:
    """One lease; with `wait`, once it is neither on its way up nor down."""
    own.refuse_others(call.services, lease_id, call.only)
    launches.wait_until_settled(call.services, lease_id, seconds=call.query.wait)
    found = report.lease(call.services, lease_id, only=call.only)
    return Answer(body=views.lease(found), headers=views.tag(lease_tag(found.lease)))


@app.route("/leases/{lease_id}", methods=["PATCH"], content_types=ANY)
@door.endpoint(
    needs=Needs.LAUNCHER,
    body=ExtendBody,
    query=NoQuery,
    says=Says(
        answers={200: answers.LeaseAnswer},
        headers=(IF_MATCH,),
        has_tag=True,
        example={"hours": 12, "budget_usd": "20"},
    ),
)
def extend_lease(call: Call[ExtendBody, NoQuery], lease_id: str) -> Answer:
    """More or less time or money, within the budgets."""
    own.refuse_others(call.services, lease_id, call.only)
    hours = call.body.hours
    lease = extend.extend(
        call.services,
        lease_id,
        over=receive.if_match(call.headers),
        lasts_for=None if hours is None else length_of(hours),
        budget_usd=call.body.budget_usd,
        by=call.owner,
    )
    told = report.as_told(launches.report_of(call.services, lease), call.only)
    return Answer(body=views.lease(told), headers=views.tag(lease_tag(lease)))


@app.route("/leases/{lease_id}", methods=["DELETE"], content_types=ANY)
@door.endpoint(
    needs=Needs.LAUNCHER, body=NoBody, query=NoQuery, says=Says(answers=ENDED, headers=(IF_MATCH,))
)
def end_lease(call: Call[NoBody, NoQuery], lease_id: str) -> Answer:
    """End a lease now."""
    own.refuse_others(call.services, lease_id, call.only)
    over = receive.if_match(call.headers)
    return _ended(end.end_lease(call.services, lease_id, by=call.owner, over=over), call.only)


@app.route("/instances", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.READER,
    body=NoBody,
    query=PageQuery,
    says=Says(answers={200: answers.Seen[answers.InstanceAnswer]}),
)
def list_instances(call: Call[NoBody, PageQuery]) -> Answer:
    """Every accelerator instance, leased or not."""
    found = report.instances(call.services, only=call.only)
    return Answer(body=paging.seen(found, views.instance, call.query, paging.INSTANCES))


@app.route("/instances/{instance_id}", methods=["DELETE"], content_types=ANY)
@door.endpoint(needs=Needs.LAUNCHER, body=NoBody, query=NoQuery, says=Says(answers=ENDED))
def end_instance(call: Call[NoBody, NoQuery], instance_id: str) -> Answer:
    """End an instance and whatever would start it again."""
    receipt = end.end_instance(call.services, instance_id, by=call.owner, only=call.only)
    return _ended(receipt, call.only)


@app.route("/instances/{instance_id}/image", methods=["POST"], content_types=ANY)
@door.endpoint(
    needs=Needs.LAUNCHER,
    body=SaveBody,
    query=NoQuery,
    says=Says(answers={202: image_answers.SavingAnswer}, example={"name": "resnet-epoch-90"}),
)
def save_instance(call: Call[SaveBody, NoQuery], instance_id: str) -> Answer:
    """Save a box as an image while it lives; GET /images tells when it is available."""
    told = saving.save(
        call.services,
        instance_id,
        name=call.body.name,
        reboots=call.body.reboot,
        by=call.owner,
        only=call.only,
    )
    return Answer(status=HTTPStatus.ACCEPTED, body=image_answers.saving(told), subject=told.image.id)


@app.route("/budgets", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.READER,
    body=NoBody,
    query=PageQuery,
    says=Says(answers={200: answers.Page[answers.BudgetAnswer | own_answers.LimitAnswer]}),
)
def list_budgets(call: Call[NoBody, PageQuery]) -> Answer:
    """Every budget and where it stands; to a launcher their own, and how much fits into those that gate launches."""
    found = own_budgets.all_budgets(call.services, only=call.only)
    page = paging.cut(found, call.query, paging.BUDGETS)
    return Answer(body=paging.listed(page, own_answers.budget))


@app.route("/budgets/{name}", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.READER,
    body=NoBody,
    query=NoQuery,
    says=Says(answers={200: answers.BudgetAnswer | own_answers.LimitAnswer}, has_tag=True),
)
def show_budget(call: Call[NoBody, NoQuery], name: str) -> Answer:
    """One budget and where it stands."""
    found = own_budgets.one(call.services, name, only=call.only)
    if isinstance(found, own_budgets.LimitReport):
        return Answer(body=own_answers.budget(found))
    return Answer(body=views.budget(found), headers=views.tag(budget_tag(found.budget)))


@app.route("/budgets/{name}", methods=["PUT"], content_types=ANY)
@door.endpoint(
    needs=Needs.ADMIN,
    body=BudgetBody,
    query=ForceQuery,
    says=Says(
        answers={200: answers.BudgetAnswer},
        headers=(IF_MATCH,),
        has_tag=True,
        example={"limit_usd": "100", "period": "monthly"},
    ),
)
def put_budget(call: Call[BudgetBody, ForceQuery], name: str) -> Answer:
    """Create or change a budget; with `force` also below what is spent and held, and leases end until it fits."""
    budget = budget_bodies.budget_of(name, call.body)
    over = receive.if_match(call.headers)
    stands = budgets.put(call.services, budget, force=call.query.force, over=over)
    return Answer(body=views.budget(stands), headers=views.tag(budget_tag(stands.budget)))


@app.route("/budgets/{name}", methods=["DELETE"], content_types=ANY)
@door.endpoint(
    needs=Needs.ADMIN, body=NoBody, query=NoQuery, says=Says(answers={204: None}, headers=(IF_MATCH,))
)
def delete_budget(call: Call[NoBody, NoQuery], name: str) -> Answer:
    """Remove a budget: what it held back is held back no more."""
    budgets.delete(call.services, name, over=receive.if_match(call.headers))
    return Answer(status=HTTPStatus.NO_CONTENT)


@app.route("/spend", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.READER,
    body=NoBody,
    query=SpendQuery,
    says=Says(answers={200: spend_view.SpendAnswer | own_answers.OwnSpendAnswer}),
)
def show_spend(call: Call[NoBody, SpendQuery]) -> Answer:
    """A month's meter beside its bill, whose it is, and what is to come; to a launcher what their own leases cost."""
    found = spending.spend(call.services, call.query.period)
    if call.only is not None:
        return Answer(body=own_answers.spend(own_spend.own_spend(found, call.only)))
    return Answer(body=spend_view.spend(found))


@app.route("/quotes", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.READER, body=NoBody, query=QuoteQuery, says=Says(answers={200: answers.MarketAnswer})
)
def show_quote(call: Call[NoBody, QuoteQuery]) -> Answer:
    """What a type costs, and what a launch of it would hold."""
    wish = quote_answers.wish_of(call.query, home_region=call.services.home_region)
    return Answer(body=quote_answers.view(quotes.quote(call.services, wish)))


@app.route("/images", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.READER,
    body=NoBody,
    query=ImageQuery,
    says=Says(answers={200: answers.Page[image_answers.ImageAnswer]}),
)
def list_images(call: Call[NoBody, ImageQuery]) -> Answer:
    """What can be launched from: AWS's deep-learning images, one's own saved ones, and public ones by name."""
    region = call.query.region or call.services.home_region
    found = images.images(call.services, region=region, owner=call.owner, name=call.query.name)
    now = call.services.clock.now()
    page = paging.cut(found, call.query, paging.IMAGES)
    return Answer(body=paging.listed(page, lambda one: image_answers.view(one, now)))


@app.route("/images/{image_id}", methods=["DELETE"], content_types=ANY)
@door.endpoint(needs=Needs.LAUNCHER, body=NoBody, query=ImageRegionQuery, says=Says(answers={204: None}))
def forget_image(call: Call[NoBody, ImageRegionQuery], image_id: str) -> Answer:
    """Remove an image that Curfew has saved, with its snapshots, which bill no more."""
    region = call.query.region or call.services.home_region
    saving.forget(call.services, image_id, region=region, only=call.only)
    return Answer(status=HTTPStatus.NO_CONTENT)


@app.route("/key-pairs", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.READER,
    body=NoBody,
    query=KeyQuery,
    says=Says(answers={200: answers.Page[key_bodies.KeyAnswer]}),
)
def list_key_pairs(call: Call[NoBody, KeyQuery]) -> Answer:
    """The key pairs of a region, whoever made them; to a launcher those that are tagged as theirs."""
    found = keys.pairs(call.services, call.query.region or call.services.home_region, only=call.only)
    page = paging.cut(found, call.query, paging.KEY_PAIRS)
    return Answer(body=paging.listed(page, key_bodies.view))


@app.route("/key-pairs", methods=["POST"], content_types=ANY)
@door.endpoint(
    needs=Needs.LAUNCHER,
    body=KeyBody,
    query=NoQuery,
    says=Says(answers={201: key_bodies.KeyAnswer}, example={"name": "laptop"}),
)
def add_key_pair(call: Call[KeyBody, NoQuery]) -> Answer:
    """Import a public key, or have a pair made: its private part is in the answer once, and kept nowhere."""
    body, owner = call.body, call.owner
    region = body.region or call.services.home_region
    if body.public_key is None:
        new = keys.make(
            call.services, region=region, name=body.name, kind=body.type or "ed25519", owner=owner
        )
        told = key_bodies.made(new)
        return Answer(status=HTTPStatus.CREATED, body=told, secrets=("private_key",), subject=body.name)
    pair = keys.bring(
        call.services, region=region, name=body.name, public_key=body.public_key, kind=body.type, owner=owner
    )
    return Answer(status=HTTPStatus.CREATED, body=key_bodies.view(pair), subject=body.name)


@app.route("/security-groups", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.READER,
    body=NoBody,
    query=GroupQuery,
    says=Says(answers={200: answers.Page[group_bodies.GroupAnswer]}),
)
def list_security_groups(call: Call[NoBody, GroupQuery]) -> Answer:
    """Curfew's own security groups of a region, and what uses each."""
    region = call.query.region or call.services.home_region
    found = security_groups.groups(call.services, region, only=call.only)
    page = paging.cut(found, call.query, paging.SECURITY_GROUPS)
    return Answer(body=paging.listed(page, group_bodies.view))


@app.route("/security-groups", methods=["POST"], content_types=ANY)
@door.endpoint(
    needs=Needs.LAUNCHER,
    body=GroupBody,
    query=NoQuery,
    says=Says(
        answers={200: group_bodies.GroupAnswer, 201: group_bodies.GroupAnswer}, example={"ssh_from": "me"}
    ),
)
def add_security_group(call: Call[GroupBody, NoQuery]) -> Answer:
    """A security group that opens port 22, and more on request, to one address; 200 where it is there already."""
    body, region = call.body, call.body.region or call.services.home_region
    made = security_groups.make(
        call.services,
        group_bodies.wanted(body, call.source_ip),
        region=region,
        owner=call.owner,
        name=body.name,
        subnet_id=body.subnet_id,
        vpc_id=body.vpc_id,
        only=call.only,
    )
    status = HTTPStatus.CREATED if made.is_new else HTTPStatus.OK
    return Answer(status=status, body=group_bodies.view(made), subject=made.group.id)


@app.route("/security-groups/{group_id}", methods=["DELETE"], content_types=ANY)
@door.endpoint(needs=Needs.LAUNCHER, body=NoBody, query=RegionQuery, says=Says(answers={204: None}))
def remove_security_group(call: Call[NoBody, RegionQuery], group_id: str) -> Answer:
    """Remove one of Curfew's own that nothing uses."""
    region = call.query.region or call.services.home_region
    security_groups.remove(call.services, group_id, region=region, only=call.only)
    return Answer(status=HTTPStatus.NO_CONTENT)


@app.route("/policy", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.ADMIN,
    body=NoBody,
    query=NoQuery,
    says=Says(answers={200: Policy, 304: None}, headers=(IF_NONE_MATCH,), has_tag=True),
)
def show_policy(call: Call[NoBody, NoQuery]) -> Answer:
    """The complete policy, its version in the ETag."""
    policy, version = policies.current(call.services)
    if receive.is_as_known(call.headers, str(version)):
        return Answer(status=HTTPStatus.NOT_MODIFIED, headers=views.tag(str(version)))
    return _policy_of(policy, version)


@app.route("/policy", methods=["PUT"], content_types=ANY)
@door.endpoint(
    needs=Needs.ADMIN,
    body=Policy,
    query=NoQuery,
    says=Says(answers={200: Policy}, headers=(IF_MATCH,), has_tag=True, example={"idle": {"after": "PT30M"}}),
)
def put_policy(call: Call[Policy, NoQuery]) -> Answer:
    """Put the policy; what is left out stays as it is in force; with If-Match only over that version."""
    policy, version = policies.put(call.services, call.body, over=receive.if_match(call.headers))
    return _policy_of(policy, version)


@app.route("/sweeps", methods=["POST"], content_types=ANY)
@door.endpoint(
    needs=Needs.ADMIN,
    body=SweepBody,
    query=NoQuery,
    says=Says(answers={200: answers.SweepAnswer}, example={"dry_run": True}),
)
def sweep_now(call: Call[SweepBody, NoQuery]) -> Answer:
    """Sweep at once; with `arm` put older boxes under leases too, with `dry_run` only say what would happen."""
    services = bootstrap.rehearsal(call.services) if call.body.dry_run else call.services
    armed_at = sweeping.arm(services) if call.body.arm else None
    record = _swept(sweeping.sweep(services, trigger="request"))
    return Answer(body={**record, "armed_at": armed_at})


@app.route("/sweeps", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.VIEWER, body=NoBody, query=PageQuery, says=Says(answers={200: answers.Page[SweepRecord]})
)
def list_sweeps(call: Call[NoBody, PageQuery]) -> Answer:
    """What was seen and done, newest first."""
    page = call.services.store.sweeps(limit=call.query.limit, cursor=call.query.cursor)
    return Answer(body=paging.listed(page, views.sweep))


@app.route("/receipts", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.READER, body=NoBody, query=ReceiptQuery, says=Says(answers={200: answers.Page[Receipt]})
)
def list_receipts(call: Call[NoBody, ReceiptQuery]) -> Answer:
    """The proof of every end, the latest decision first; of a time, an owner or a region where one is named."""
    page = call.services.store.receipts(
        limit=call.query.limit,
        cursor=call.query.cursor,
        wanted=receipts.wanted(call.query, call.services.clock.now(), only=call.only),
    )
    return Answer(body=paging.listed(page, lambda one: views.receipt(own.as_told(one, call.only))))


@app.route("/transfers", methods=["POST"], content_types=ANY)
@door.endpoint(
    needs=Needs.LAUNCHER,
    body=TransferBody,
    query=NoQuery,
    says=Says(
        answers={201: transfer_bodies.TransferAnswer}, example={"direction": "up", "path": "data/train.tar"}
    ),
)
def open_transfer(call: Call[TransferBody, NoQuery]) -> Answer:
    """A URL to send a file to, or to fetch one from; a large file is sent in parts."""
    told = transfer_bodies.begun(call.services, _asker(call), call.body)
    body = transfer_bodies.opened(told, call.body)
    return Answer(status=HTTPStatus.CREATED, body=body, is_kept=told.url is None)


@app.route("/transfers", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.LAUNCHER,
    body=NoBody,
    query=TransferQuery,
    says=Says(answers={200: answers.Page[transfer_bodies.FileAnswer]}),
)
def list_transfers(call: Call[NoBody, TransferQuery]) -> Answer:
    """The files in your own folder, or in a lease's, by name."""
    return Answer(body=transfer_bodies.listed(call.services, _asker(call), call.query))


@app.route("/transfers/{transfer_id}/parts", methods=["POST"], content_types=ANY)
@door.endpoint(
    needs=Needs.LAUNCHER,
    body=PartsBody,
    query=NoQuery,
    says=Says(answers={200: transfer_bodies.PartsAnswer}),
)
def sign_parts(call: Call[PartsBody, NoQuery], transfer_id: str) -> Answer:
    """URLs for the next parts of an upload that S3 does not have, 50 at most."""
    told = transfer_bodies.owed(call.services, _asker(call), transfer_id, call.body)
    return Answer(body=transfer_bodies.parts(told), is_kept=False)


@app.route("/transfers/{transfer_id}/complete", methods=["POST"], content_types=ANY)
@door.endpoint(
    needs=Needs.LAUNCHER,
    body=NoBody,
    query=NoQuery,
    says=Says(answers={200: transfer_bodies.CompletedAnswer}),
)
def complete_transfer(call: Call[NoBody, NoQuery], transfer_id: str) -> Answer:
    """Make one file of the parts, once all of them are there."""
    transfers.complete(call.services, _asker(call), transfer_id)
    return Answer(body={"id": transfer_id, "completed": True})


@app.route("/transfers/{transfer_id}", methods=["DELETE"], content_types=ANY)
@door.endpoint(needs=Needs.LAUNCHER, body=NoBody, query=NoQuery, says=Says(answers={204: None}))
def give_transfer_up(call: Call[NoBody, NoQuery], transfer_id: str) -> Answer:
    """Give an upload in parts up: what was sent of it bills no more."""
    transfers.give_up(call.services, _asker(call), transfer_id)
    return Answer(status=HTTPStatus.NO_CONTENT)


@app.route("/heartbeats", methods=["POST"], content_types=ANY)
@door.endpoint(
    body=HeartbeatBody,
    query=NoQuery,
    is_public=True,
    says=Says(answers={200: answers.HeartbeatAnswer}, headers=(SIGNATURE,)),
)
def hear_heartbeat(call: Call[HeartbeatBody, NoQuery]) -> Answer:
    """What a box tells of its work, signed with its lease's key; its deadline in the answer."""
    told = heartbeats.receive(
        call.services,
        heartbeat_bodies.report_of(call.body),
        raw=call.raw,
        signature=call.headers.get(SIGNATURE_HEADER),
    )
    return Answer(body=heartbeat_bodies.view(told))


@app.route("/tokens", methods=["POST"], content_types=ANY)
@door.endpoint(
    needs=Needs.ADMIN,
    body=TokenBody,
    query=NoQuery,
    says=Says(answers={201: token_bodies.TokenAnswer}, example={"owner": "ada", "role": "launcher"}),
)
def make_token(call: Call[TokenBody, NoQuery]) -> Answer:
    """Make a token for somebody: it is in the answer once, and nobody can read it again."""
    now, text = call.services.clock.now(), token_bodies.new()
    wish = token_bodies.wish_of(call.body, now)
    made = tokens.mint(call.services, wish, text, by=call.owner)
    body = token_bodies.made(made, text, wish, now)
    return Answer(status=HTTPStatus.CREATED, body=body, secrets=("token",), subject=made.id)


@app.route("/tokens", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.ADMIN,
    body=NoBody,
    query=PageQuery,
    says=Says(answers={200: answers.Page[token_bodies.TokenAnswer]}),
)
def list_tokens(call: Call[NoBody, PageQuery]) -> Answer:
    """Who has a token, in which role and until when, newest first; those that are over for 400 days."""
    now = call.services.clock.now()
    page = paging.cut(call.services.tokens.tokens(), call.query, paging.TOKENS)
    return Answer(body=paging.listed(page, lambda one: token_bodies.view(one, now)))


@app.route("/tokens/{token_id}", methods=["DELETE"], content_types=ANY)
@door.endpoint(needs=Needs.ADMIN, body=NoBody, query=NoQuery, says=Says(answers={204: None}))
def revoke_token(call: Call[NoBody, NoQuery], token_id: str) -> Answer:
    """Take a token back: it is let in nowhere from the next call on."""
    tokens.revoke(call.services, token_id)
    return Answer(status=HTTPStatus.NO_CONTENT)


@app.route("/audit", methods=["GET"], content_types=ANY)
@door.endpoint(
    needs=Needs.ADMIN, body=NoBody, query=AuditQuery, says=Says(answers={200: answers.Page[Change]})
)
def list_changes(call: Call[NoBody, AuditQuery]) -> Answer:
    """Who changed what, when, and what came of it, newest first."""
    since = call.query.since
    page = call.services.audit.changes(
        since=moment(since, call.services.clock.now()) if since else None,
        owner=call.query.owner,
        limit=call.query.limit,
        cursor=call.query.cursor,
    )
    return Answer(body=paging.listed(page, plain))


@app.route("/sync", methods=["POST"], content_types=ANY)
@door.endpoint(
    body=SyncBody,
    query=NoQuery,
    is_public=True,
    says=Says(answers={200: sync_bodies.SyncAnswer}, headers=(SIGNATURE,)),
)
def sync_box(call: Call[SyncBody, NoQuery]) -> Answer:
    """URLs for a box's data, asked for by its script and signed with its lease's key."""
    signature = call.headers.get(SIGNATURE_HEADER)
    told = sync_bodies.answered(call.services, call.body, raw=call.raw, signature=signature)
    return Answer(body=sync_bodies.view(told))


@app.route("/notifications/test", methods=["POST"], content_types=ANY)
@door.endpoint(
    needs=Needs.ADMIN,
    body=NoBody,
    query=NoQuery,
    says=Says(answers={200: answers.Page[channels.ChannelReport]}),
)
def test_notifications(call: Call[NoBody, NoQuery]) -> Answer:
    """Send a message through every channel now; per channel whether it was taken, else why not and the fix."""
    return Answer(body={"items": plain(channels.try_channels(call.services)), "next": None})


@app.route("/health", methods=["GET"], content_types=ANY)
@door.endpoint(
    body=NoBody,
    query=NoQuery,
    is_public=True,
    says=Says(answers=dict.fromkeys((200, 503), HEALTH)),
)
def show_health(call: Call[NoBody, NoQuery]) -> Answer:
    """Whether the account is guarded: ok or failing for anybody, everything with a token. 503 while it is not."""
    if call.only is not None:
        seen = health.own_health(call.services, call.only)
        status = HTTPStatus.SERVICE_UNAVAILABLE if seen.status == "failing" else HTTPStatus.OK
        return Answer(status=status, body=own_answers.health(seen))
    told = health.health(call.services) if call.caller else None
    word = told.status if told else health.word(call.services)
    status = HTTPStatus.SERVICE_UNAVAILABLE if word == "failing" else HTTPStatus.OK
    return Answer(status=status, body=views.health(told) if told else {"status": word})


@app.route("/openapi.json", methods=["GET"], content_types=ANY)
@door.endpoint(body=NoBody, query=NoQuery, is_public=True, says=Says(answers={200: dict[str, Any]}))
def show_openapi(call: Call[NoBody, NoQuery]) -> Answer:
    """This document."""
    del call
    from chalicelib.web import openapi  # noqa: PLC0415 a cold start need not pay for what is seldom asked for

    return Answer(body=openapi.document(app))


@app.route("/snooze/{token}", methods=["GET"], content_types=ANY)
@door.endpoint(
    body=NoBody,
    query=NoQuery,
    is_public=True,
    refused=snooze_answers.refused,
    says=SNOOZED,
)
def show_snooze(call: Call[NoBody, NoQuery], token: str) -> Answer:
    """What a warning's link is for; changes nothing, because chat programs fetch links."""
    return snooze_answers.answer(snooze.look(call.services, token), call.headers)


@app.route("/snooze/{token}", methods=["POST"], content_types=ANY)
@door.endpoint(
    body=NoBody,
    query=NoQuery,
    is_public=True,
    refused=snooze_answers.refused,
    says=SNOOZED,
)
def put_off(call: Call[NoBody, NoQuery], token: str) -> Answer:
    """Put the end for idleness off, as the link says."""
    return snooze_answers.answer(snooze.snooze(call.services, token), call.headers)


@app.middleware("http")
def speak_problem_json(event: Request, get_response: Callable[[Request], Response]) -> Response:
    """Chalice's own refusals in the form of all others. Nothing rests on it."""
    return as_problem(get_response(event), event)


def _swept(record: SweepRecord) -> Any:
    """The record as it is answered, and in the log."""
    told = views.sweep(record)
    logs.line("sweep", **told)
    return told


def _asker(call: Call[Any, Any]) -> transfers.Asker:
    """Whose files a call is about."""
    return transfers.Asker(owner=call.owner, only=call.only)


def _policy_of(policy: Policy, version: int) -> Answer:
    """The bare document; what it has to say beside stands in headers."""
    remark = {"Curfew-Remark": "; ".join(policy.remarks)} if policy.remarks else {}
    return Answer(body=views.policy(policy), headers={**views.tag(str(version)), **remark})


def _ended(receipt: Receipt, only: str | None) -> Answer:
    """200 with the receipt, as `only` may read it; 202 while the end goes on."""
    receipt = own.as_told(receipt, only)
    status = HTTPStatus.ACCEPTED if receipt.status == "ending" else HTTPStatus.OK
    return Answer(status=status, body=views.receipt(receipt))
