"""Real processes, killed at the worst moment, and an oracle that judges what became of every record.

world.py    sandbox, nats-server, clusters and scheduler, all of them real; restarted as `up` restarts them
traces.py   what each process is in the middle of, by the spans it writes
kills.py    kill a process while a transaction or batch is in flight, and count only such kills
upstream.py edits upstream's records while all this happens
oracle.py   reads every version upstream ever had, the log, and every message ever stored; judges
report.py   what each fault test did, as facts; conftest.py has the fixture `record_fault`
table.py    renders the facts into docs/reliability.md
"""
