-- Texts from before are brought into the forms that are kept now.

-- An address whose local part NFKC changes only looked like another: it gets a key of its own, and who has that
-- other address may register it. The domain of a key is in punycode already, and safe to send to.
update users set
  email_key = lower(normalize(split_part(email, '@', 1), nfc)) || '@' || split_part(email_key, '@', 2)
where octet_length(email) <> char_length(email)
  and normalize(split_part(email, '@', 1), nfc) is not nfkc normalized;
update users set
  email = normalize(split_part(email, '@', 1), nfc) || '@' || case
    when split_part(email, '@', 2) is nfkc normalized then split_part(email, '@', 2)
    else split_part(email_key, '@', 2) end
where octet_length(email) <> char_length(email)
  and (email is not nfc normalized or split_part(email, '@', 2) is not nfkc normalized);
comment on column users.email_key is
  'Compared form: local part in NFC and lower case, domain in punycode';

-- Names of time zones that IANA's list lacks, and spellings that are not its own.
update users u set timezone = z.name
from (values
  ('ACT', 'Australia/Darwin'), ('AET', 'Australia/Sydney'), ('AGT', 'America/Argentina/Buenos_Aires'),
  ('ART', 'Africa/Cairo'), ('AST', 'America/Anchorage'), ('BET', 'America/Sao_Paulo'), ('BST', 'Asia/Dhaka'),
  ('CAT', 'Africa/Harare'), ('CNT', 'America/St_Johns'), ('CST', 'America/Chicago'), ('CTT', 'Asia/Shanghai'),
  ('EAT', 'Africa/Addis_Ababa'), ('ECT', 'Europe/Paris'), ('IET', 'America/Indiana/Indianapolis'),
  ('IST', 'Asia/Kolkata'), ('JST', 'Asia/Tokyo'), ('MIT', 'Pacific/Apia'), ('NET', 'Asia/Yerevan'),
  ('NST', 'Pacific/Auckland'), ('PLT', 'Asia/Karachi'), ('PNT', 'America/Phoenix'),
  ('PRT', 'America/Puerto_Rico'), ('PST', 'America/Los_Angeles'), ('SST', 'Pacific/Guadalcanal'),
  ('VST', 'Asia/Ho_Chi_Minh'), ('US/Pacific-New', 'America/Los_Angeles'),
  ('SystemV/AST4', 'America/Puerto_Rico'), ('SystemV/AST4ADT', 'America/Halifax'),
  ('SystemV/CST6', 'America/Regina'), ('SystemV/CST6CDT', 'America/Chicago'),
  ('SystemV/EST5', 'America/Indiana/Indianapolis'), ('SystemV/EST5EDT', 'America/New_York'),
  ('SystemV/HST10', 'Pacific/Honolulu'), ('SystemV/MST7', 'America/Phoenix'),
  ('SystemV/MST7MDT', 'America/Denver'), ('SystemV/PST8', 'Pacific/Pitcairn'),
  ('SystemV/PST8PDT', 'America/Los_Angeles'), ('SystemV/YST9', 'Pacific/Gambier'),
  ('SystemV/YST9YDT', 'America/Anchorage')
) as z (old, name)
where lower(u.timezone) = lower(z.old);
update users u set timezone = z.name
from (
  select used.timezone, min(known.name) as name
  from (select distinct timezone from users where timezone is not null) used
  join pg_timezone_names known on lower(known.name) = lower(used.timezone)
  group by used.timezone having not bool_or(known.name = used.timezone)
) z
where u.timezone = z.timezone;
