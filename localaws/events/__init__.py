"""What reaches the application: EC2's events, timers and schedules, queues and functions."""
