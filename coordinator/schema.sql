-- SPDX-License-Identifier: Apache-2.0
--
-- schema.sql: everything the coordinator knows. Version 2 (PRAGMA user_version); store.c brings
-- version 1 to it. `relay`: 64 bits of the key of the relay that the worker came through; 0: it came directly.
-- Envelopes are kept once, byte for byte, with the line that answered them; everything else refers to them.
-- Digests, keys and lease ids are raw bytes; times are milliseconds of the coordinator's clock.

-- time_ms: persisted, never goes back. serial: of the grid descriptor.
CREATE TABLE meta (
	name TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE epoch (
	counter INTEGER PRIMARY KEY,
	id TEXT NOT NULL CHECK (length(id) = 32),
	since_ms INTEGER NOT NULL
);

-- Facts. `open`: how many of a result's tasks are not final yet; at 0 it may be shown and gets its
-- place in the order of showing, `shown`. A result without answer is evidence of a conflict.
CREATE TABLE envelope (
	n INTEGER PRIMARY KEY,
	digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
	type TEXT NOT NULL CHECK (type IN ('job', 'cancel', 'result', 'conflict')),
	author BLOB NOT NULL CHECK (length(author) = 32),
	line TEXT NOT NULL,
	answer TEXT,
	received_ms INTEGER NOT NULL,
	job INTEGER REFERENCES job (n),
	open INTEGER NOT NULL DEFAULT 0,
	shown INTEGER
);
CREATE INDEX envelope_shown ON envelope (job, shown) WHERE shown IS NOT NULL;
CREATE INDEX envelope_conflict ON envelope (author) WHERE type = 'conflict';

-- Keys that may submit, or once asked; with their last request and its answer.
CREATE TABLE submitter (
	key BLOB PRIMARY KEY CHECK (length(key) = 32),
	allowed INTEGER NOT NULL DEFAULT 0 CHECK (allowed IN (0, 1)),
	seq INTEGER NOT NULL DEFAULT 0,
	asked BLOB,
	answer TEXT
) WITHOUT ROWID;

CREATE TABLE job (
	n INTEGER PRIMARY KEY,
	id BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
	envelope INTEGER NOT NULL REFERENCES envelope (n),
	submitter BLOB NOT NULL CHECK (length(submitter) = 32),
	name TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('active', 'done', 'cancelled')),
	why TEXT,
	count INTEGER NOT NULL CHECK (count > 0),
	assurance TEXT NOT NULL,
	submitted_ms INTEGER NOT NULL,
	finished_ms INTEGER,
	valid INTEGER NOT NULL DEFAULT 0,
	failed INTEGER NOT NULL DEFAULT 0,
	cancelled INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX job_unfinished ON job (n) WHERE finished_ms IS NULL;

-- Only final tasks have a row. `version`: of its verdict (later classes may revise one).
CREATE TABLE task (
	job INTEGER NOT NULL REFERENCES job (n),
	idx INTEGER NOT NULL CHECK (idx >= 0),
	version INTEGER NOT NULL DEFAULT 1,
	state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'checking', 'provisional', 'valid', 'failed', 'cancelled')),
	outcome BLOB,
	why TEXT,
	verdict INTEGER NOT NULL,
	PRIMARY KEY (job, idx, version)
) WITHOUT ROWID;

CREATE TABLE verdict (
	n INTEGER PRIMARY KEY,
	job INTEGER NOT NULL REFERENCES job (n),
	version INTEGER NOT NULL DEFAULT 1,
	line TEXT NOT NULL
);
CREATE INDEX verdict_job ON verdict (job, n);

CREATE TABLE worker (
	n INTEGER PRIMARY KEY,
	id BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
	state TEXT NOT NULL CHECK (state IN ('known', 'banned')),
	owner INTEGER NOT NULL DEFAULT 0,
	admission BLOB,
	network INTEGER NOT NULL,
	platform TEXT NOT NULL,
	platform_class TEXT NOT NULL,
	agent TEXT NOT NULL,
	address TEXT NOT NULL,
	profiles INTEGER NOT NULL, -- and from bit 16 on the optional bits that it allows
	slots INTEGER NOT NULL,
	cpus INTEGER NOT NULL,
	memory_mib INTEGER NOT NULL,
	disk_mib INTEGER NOT NULL,
	first_ms INTEGER NOT NULL,
	seen_ms INTEGER NOT NULL,
	seq INTEGER NOT NULL DEFAULT 0,
	asked BLOB,
	answer TEXT,
	relay INTEGER NOT NULL DEFAULT 0
);

-- `reason` is private: nobody is told what a lease is for.
CREATE TABLE lease (
	id BLOB PRIMARY KEY CHECK (length(id) = 16),
	job INTEGER NOT NULL REFERENCES job (n),
	idx INTEGER NOT NULL,
	worker INTEGER NOT NULL REFERENCES worker (n),
	network INTEGER NOT NULL,
	owner INTEGER NOT NULL,
	reason TEXT NOT NULL CHECK (reason IN ('first', 'copy', 'audit')),
	state TEXT NOT NULL CHECK (state IN ('live', 'returned', 'given-back', 'expired', 'cancelled')),
	issued_ms INTEGER NOT NULL,
	relay INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX lease_live ON lease (job) WHERE state IN ('live', 'expired');
CREATE INDEX lease_worker ON lease (worker);

-- `outputs`: the digests of stdout, files and stderr, one after the other. `late` ones never vote,
-- `void` ones are of a worker that was banned before the task was final.
CREATE TABLE result (
	n INTEGER PRIMARY KEY,
	envelope INTEGER NOT NULL REFERENCES envelope (n),
	pos INTEGER NOT NULL CHECK (pos BETWEEN 0 AND 63),
	job INTEGER NOT NULL REFERENCES job (n),
	idx INTEGER NOT NULL,
	worker INTEGER NOT NULL REFERENCES worker (n),
	lease BLOB NOT NULL UNIQUE,
	state TEXT NOT NULL CHECK (state IN ('received', 'late', 'void')),
	outcome BLOB NOT NULL CHECK (length(outcome) = 32),
	exit INTEGER NOT NULL,
	signal INTEGER NOT NULL,
	reason TEXT NOT NULL CHECK (reason IN ('exited', 'signaled', 'cpu', 'wall', 'memory', 'disk', 'output',
		'processes', 'policy', 'setup')),
	cpu_ms INTEGER NOT NULL,
	wall_ms INTEGER NOT NULL,
	network INTEGER NOT NULL,
	owner INTEGER NOT NULL,
	outputs BLOB NOT NULL,
	stderr BLOB,
	relay INTEGER NOT NULL DEFAULT 0,
	UNIQUE (envelope, pos)
);
CREATE INDEX result_task ON result (job, idx);
CREATE INDEX result_worker ON result (worker);

-- Every blob that a message may rely on. Small outputs are here whole; `bytes` NULL: a file.
CREATE TABLE blob (
	digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
	size INTEGER NOT NULL CHECK (size >= 0),
	public INTEGER NOT NULL CHECK (public IN (0, 1)),
	bytes BLOB
) WITHOUT ROWID;

-- A ticket, and who holds what: `done` says that its author sent all of it.
CREATE TABLE upload (
	id BLOB PRIMARY KEY CHECK (length(id) = 32),
	author BLOB NOT NULL CHECK (length(author) = 32),
	digest BLOB NOT NULL CHECK (length(digest) = 32),
	size INTEGER NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('open', 'done')),
	since_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX upload_author ON upload (author, digest);
