-- A table of the values that pipelines break: limits, digits, zones, escapes, nested and empty values.
-- Run with psql and the variable `schema`.
CREATE SCHEMA :"schema";
SET search_path TO :"schema";
SET timezone TO 'UTC';

CREATE TYPE mood AS ENUM ('sad', 'so so', 'très "gai"');

CREATE TABLE hard_types (
    id integer PRIMARY KEY,
    "note" text,                    -- the one column that the transform changes
    "small" smallint,
    "whole" integer,
    "big" bigint,
    "money" numeric(38, 10),
    "amount" numeric(12, 2),
    "free" numeric,
    "single" real,
    "double" double precision,
    "yes" boolean,
    "text" text,
    "short" varchar(20),
    "fixed" char(5),
    "day" date,
    "moment" timestamp,
    "instant" timestamptz,
    "hour" time,
    "key" uuid,
    "document" json,
    "binary_document" jsonb,
    "raw" bytea,
    "numbers" integer[],
    "words" text[],
    "mood" mood,
    "Mixed Case & spaces" text
);

INSERT INTO hard_types VALUES
(1, 'plain', 1, 1, 1, 1.5, 1.50, 1.5, 1.5, 1.5, true, 'plain', 'plain', 'plain',
 '2024-02-29', '2024-02-29 12:34:56', '2024-02-29 12:34:56+00', '12:34:56',
 '123e4567-e89b-12d3-a456-426614174000', '{"a": 1}', '{"a": 1}', '\xdeadbeef',
 '{1,2,3}', '{a,b}', 'sad', 'plain'),
(2, 'null everywhere', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
 NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(3, 'upper limits', 32767, 2147483647, 9223372036854775807,
 1234567890123456789012345678.0123456789, 9999999999.99,
 123456789012345678901234567890.123456789012345678901234567890,
 3.4028235e38, 1.7976931348623157e308, true, repeat('x', 10000), repeat('y', 20), 'zzzzz',
 '9999-12-31', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00', '23:59:59.999999',
 'ffffffff-ffff-ffff-ffff-ffffffffffff', '[]', '{}', '\x', '{}', '{}', 'so so', ''),
(4, 'lower limits', -32768, -2147483648, -9223372036854775808,
 -1234567890123456789012345678.0123456789, -9999999999.99, -0.000000000000000000000000000001,
 1.1754944e-38, 2.2250738585072014e-308, false, '', '', '',
 '0001-01-01', '0001-01-01 00:00:00', '0001-01-01 00:00:00+00', '00:00:00',
 '00000000-0000-0000-0000-000000000000', 'null', 'null', '\x00ff', '{-2147483648,0}', '{"","NULL"}',
 'très "gai"', ' '),
(5, 'past the 53 bits of a float', 0, 0, 9007199254740993, 0.1000000000, 0.10, 9007199254740993,
 0.1, 0.1, false, E'tab\there, line\nfeed, return\r\n, quote "\'', E'a\nb', 'ab',
 '1970-01-01', '1970-01-01 00:00:00.000001', '1969-12-31 23:59:59.999999+00', '00:00:00.000001',
 NULL, '{"big": 9007199254740993, "exact": 1.10}', '{"deep": [{"er": [null, true, 1.5, "x"]}]}', '\x0a0d2c22',
 '{0}', '{"comma, quote \" and \\ backslash"}', 'sad', 'x'),
(6, 'Unicode', 0, 0, 0, 0, 0, 0, 0, 30.000000000000004, false,
 'Größe 数量 🦔 é ' || chr(8232) || ' ' || chr(133) || ' ' || chr(65279), '数量🦔', 'äöü',
 '2024-12-31', '2024-03-31 02:30:00', '2024-03-31 02:30:00.5+02', '12:00:00',
 NULL, '{"ключ": "значение", "dup": 1}', '"a string"', NULL, NULL, '{"🦔","ж"}', NULL, 'Größe');

CREATE TABLE many (
    id integer PRIMARY KEY,
    changed_at timestamptz NOT NULL,
    body text
);
INSERT INTO many
SELECT n, '2024-01-01 00:00:00+00'::timestamptz + n * interval '1 minute', repeat('x', n % 50)
FROM generate_series(1, 2000) AS n;

-- tap-postgres declares the elements as plain integers, so that a target which validates refuses the record.
CREATE TABLE null_in_array (
    id integer PRIMARY KEY,
    "numbers" integer[]
);
INSERT INTO null_in_array VALUES (1, '{1,NULL}');
