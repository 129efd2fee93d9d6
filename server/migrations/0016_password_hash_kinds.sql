-- What stands in for nobody's hash: the same algorithm and cost, and nothing of the salt and digest.
create function password_hash_kind(hash text) returns text
  language sql immutable parallel safe
  return case
    when hash like '$2%' then left(hash, 7) || repeat('.', 53)
    else substring(hash from '^(.*\$)[^$]*\$[^$]*$') || repeat('A', 22) || '$'
      || repeat('A', length(rtrim(substring(hash from '[^$]*$'), '=')))
  end;

-- Few rows or none: hashes from elsewhere, until their owners sign in.
create index user_credentials_foreign on user_credentials (password_hash_kind(password_hash))
  where password_hash not like '$argon2id$v=19$m=19456,t=2,p=1$%';
