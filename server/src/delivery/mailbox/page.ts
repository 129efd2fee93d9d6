import { type Html, html } from '../../lib/html.ts'
import type { MailboxMessage } from '../schemas.ts'

const channels = { email: 'Mail', sms: 'SMS' }

/** The list. It loads itself anew every few seconds, without a script. */
export const listPage = (messages: readonly MailboxMessage[], to: string | undefined): string =>
  layout(
    'Mailbox',
    html`<meta http-equiv="refresh" content="4">`,
    html`<header><h1>Mailbox</h1>
<p>Development only. These messages were kept here, and nothing left this machine.</p>
<form><label for="to">Recipient</label><input id="to" name="to" value="${to}" placeholder="All" autocomplete="off" spellcheck="false">
<button>Show</button></form></header>
${messages.length === 0 ? html`<p class="empty">${to ? `No message to ${to} yet.` : 'No message yet.'}</p>` : html`<ol class="list">${messages.map(entry)}</ol>`}`,
  )

const entry = (message: MailboxMessage): Html => html`<li><a href="/dev/mailbox/${message.id}">
<span class="subject">${message.subject ?? message.text}</span>
<span class="to">${message.to}</span>
<span class="meta"><span class="tag">${channels[message.channel]}</span>${message.code && html`<b class="inline-code">${message.code}</b>`}<time datetime="${message.created_at}">${shortTime(message.created_at)}</time></span></a></li>`

/** One message: what a person would read out of it, the mail as it looks, and its text part. */
export const messagePage = (message: MailboxMessage): string =>
  layout(
    message.subject ?? message.text,
    html``,
    html`<header><p><a href="/dev/mailbox">← Mailbox</a></p><h1>${message.subject ?? 'Text message'}</h1>
<dl><dt>To</dt><dd>${message.to}</dd><dt>Time</dt><dd><time datetime="${message.created_at}">${message.created_at}</time></dd><dt>Purpose</dt><dd>${message.purpose}</dd>
${message.code && html`<dt>Code</dt><dd><b class="code">${message.code}</b></dd>`}
${message.link && html`<dt>Link</dt><dd><a href="${message.link}">${message.link}</a></dd>`}</dl></header>
${message.html !== null && html`<iframe src="/dev/mailbox/${message.id}/html" title="The mail"></iframe>`}
<section><h2>${message.html === null ? 'Text' : 'Text part'}</h2><pre>${message.text}</pre></section>`,
  )

const shortTime = (iso: string): string => iso.slice(0, 19).replace('T', ' ')

const layout = (title: string, head: Html, body: Html): string =>
  html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>${title}</title>${head}
<link rel="stylesheet" href="/dev/mailbox.css"></head>
<body><main>${body}</main></body></html>
`.toString()

export const style = `:root { color-scheme: light dark; --page: #f4f5f7; --card: #fff; --text: #16181d; --soft: #5f6672; --line: #e3e5e9; --link: #1f5fd6; }
@media (prefers-color-scheme: dark) { :root { --page: #16181c; --card: #202329; --text: #f2f3f5; --soft: #9aa1ab; --line: #343841; --link: #7db0ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
a { color: var(--link); }
h1 { font-size: 1.5rem; line-height: 1.3; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1rem; }
header p { color: var(--soft); margin: 0 0 1rem; }
form { display: flex; gap: .5rem; align-items: center; margin-bottom: 1.25rem; }
label { color: var(--soft); }
input, button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .4rem .75rem; }
input { flex: 1; min-width: 0; }
button { cursor: pointer; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.empty { color: var(--soft); text-align: center; padding: 3rem 0; }
.list { list-style: none; margin: 0; padding: 0; background: var(--card); border: 1px solid var(--line); border-radius: .75rem; overflow: hidden; }
.list li + li { border-top: 1px solid var(--line); }
.list a { display: grid; grid-template-columns: 1fr auto; gap: .1rem 1rem; padding: .8rem 1rem; color: inherit; text-decoration: none; }
.list a:hover { background: var(--page); }
.subject { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; grid-column: 1 / -1; }
.to, .meta { color: var(--soft); font-size: .875rem; }
.to { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.meta { display: flex; gap: .6rem; align-items: baseline; }
.tag { border: 1px solid var(--line); border-radius: 1rem; padding: 0 .5rem; font-size: .75rem; }
.inline-code { color: var(--text); font-family: ui-monospace, monospace; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .3rem 1rem; margin: 1rem 0 1.5rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.code { font: 600 1.5rem/1.2 ui-monospace, monospace; letter-spacing: .15em; }
iframe { width: 100%; height: 44rem; border: 1px solid var(--line); border-radius: .75rem; background: #fff; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem; white-space: pre-wrap; overflow-wrap: anywhere; font: .875rem/1.5 ui-monospace, monospace; }
@media (max-width: 30rem) { .list a { grid-template-columns: 1fr; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; } }
`
