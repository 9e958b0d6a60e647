"""What twistmail offers to twistd and to itself: one line per part, no logic."""

from twisted.application.service import ServiceMaker

from twistmail import parts

twistmail = ServiceMaker("twistmail", "twistmail.starting", "An all-in-one mail server: SMTP, submission, POP3, IMAP.", "twistmail")

maildir = parts.MAILDIR
memory_store = parts.MEMORY_STORE
spool = parts.SPOOL
memory_queue = parts.MEMORY_QUEUE
resolver = parts.RESOLVER
silent = parts.SILENT
sql = parts.SQL
sql_aliases = parts.SQL_ALIASES
ldap = parts.LDAP
ldap_aliases = parts.LDAP_ALIASES
http = parts.HTTP
http_aliases = parts.HTTP_ALIASES
pam = parts.PAM
cred = parts.CRED

limits = parts.stage("limits")
tarpit = parts.stage("tarpit")
rates = parts.stage("rates")
hello = parts.stage("hello")
blocklists = parts.stage("blocklists")
room = parts.stage("room")
reverse = parts.stage("reverse")
access = parts.stage("access")
senders = parts.stage("senders")
relaying = parts.stage("relaying")
recipients = parts.stage("recipients")
quota = parts.stage("quota")
greylist = parts.stage("greylist")
loops = parts.stage("loops")
lists = parts.stage("lists")
submission = parts.stage("submission")
allowance = parts.stage("allowance")
checks = parts.stage("checks")
soliciting = parts.stage("soliciting")
