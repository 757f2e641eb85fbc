-- Members that were erased, by the SHA-256 of their pseudonyms and of their codes': what gates send again from
-- before that time loses them.
CREATE TABLE erased (
    digest text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
);
