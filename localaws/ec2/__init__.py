"""What EC2 and Auto Scaling do by themselves: the lives of boxes, requests, fleets and groups, and what they send."""
