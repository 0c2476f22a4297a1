"""Real processes, killed at the worst moment, and an oracle that judges what became of every record.

world.py    sandbox, nats-server, clusters, scheduler and web, all of them real; restarted as `up` restarts them
ground.py   the database and queue it stands on: SQLite, PostgreSQL, PostgreSQL and Redis
traces.py   what each process is in the middle of, by the spans it writes
kills.py    kill a process while a transaction or batch is in flight, and count only such kills
processes.py kill or stop any process, as chance decides
upstream.py edits upstream's records while all this happens
watcher.py  sees which cursors move; listener.py hears each message as it is stored
oracle.py   reads every version upstream ever had, the log, and every message ever stored; judges
stage.py    all of these together, for a test
report.py   what each fault test did, as facts; conftest.py has the fixture `record_fault`
table.py    renders the facts into docs/reliability.md
"""
