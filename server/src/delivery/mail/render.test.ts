import { mkdtemp, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type MailData, type MailTemplate, mailTemplates } from '../templates.ts'
import { sayableName } from './inert.ts'
import { createMailRenderer, type MailRendererOptions } from './render.ts'
import { readableOn } from './view.ts'

const site = 'https://accounts.example.com'
const brand = { name: 'Example & Co', logoUrl: undefined, color: '#2f6feb', site }
const at = new Date('2026-03-29T00:30:00.000Z')

const samples: MailData = {
  verify_email: { name: 'Ada Lovelace', code: '482913', link: `${site}/verify-email?token=abc` },
  password_reset: { name: 'Ada Lovelace', link: `${site}/reset-password?token=abc` },
  email_change_code: { name: 'Ada Lovelace', code: '482913' },
  email_changed: {
    name: 'Ada Lovelace',
    new_email_masked: 'a•••@example.org',
    undo_link: `${site}/undo?token=a`,
  },
  new_device: { name: 'Ada Lovelace', device: 'Firefox on Linux', ip: '203.0.113.7', at },
  password_changed: { name: 'Ada Lovelace', at },
  refresh_token_reused: { name: 'Ada Lovelace', at },
  account_deleted: { name: 'Ada Lovelace', restore_link: `${site}/restore?token=a`, erase_at: at },
  invitation: { name: 'Ada Lovelace', link: `${site}/accept?token=a`, inviter: 'Grace Hopper' },
  address_already_registered: { name: 'Ada Lovelace', link: `${site}/reset-password?token=a` },
  username_changed: { name: 'Ada Lovelace', new_username: 'countess' },
  phone_changed: { name: 'Ada Lovelace', new_phone_masked: '•••••67', at },
  mfa_code: { name: 'Ada Lovelace', code: '482913' },
  mfa_changed: { name: 'Ada Lovelace', what: 'passkey_added' },
}

const templates = Object.keys(mailTemplates) as MailTemplate[] // the keys of the table

function renderer(options: Partial<MailRendererOptions> = {}) {
  const failures: string[] = []
  const made = createMailRenderer({
    brand,
    templatesDir: undefined,
    onFailure: template => void failures.push(template),
    ...options,
  })
  return { ...made, failures }
}

const reader = (locale: string | null, timezone: string | null = null) => ({ locale, timezone })

async function folderWith(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'roster-mail-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  return folder
}

describe.each(['en', 'de'])('in %s', locale => {
  test.each(templates)('%s has a subject, a page and a text that say the same', async template => {
    const { render, failures } = renderer()
    const { subject, html, text } = await render(template, samples[template], reader(locale))

    expect(failures).toEqual([])
    expect(subject).toMatch(/Example & Co/)
    for (const part of [html, text]) {
      expect(part).toContain('Ada Lovelace')
      expect(part).not.toMatch(/undefined|null,|\[object|\{\{|\{%|Invalid Date/)
    }
    const values: Record<string, unknown> = samples[template] as Record<string, unknown>
    for (const key of ['code', 'link', 'undo_link', 'restore_link', 'ip', 'new_username']) {
      if (values[key] === undefined) continue
      expect(text).toContain(String(values[key]))
      expect(html).toContain(String(values[key]))
    }
    expect(html).toContain(`lang="${locale}"`)
    // Nothing is loaded from anywhere when the mail is opened: no pictures, no fonts, no tracking.
    expect(html).not.toMatch(/<img|@import|url\(|<link|<script/)
    expect(Buffer.byteLength(html)).toBeLessThan(60_000)
  })

  test('verify_email without a code speaks of none', async () => {
    const { render, failures } = renderer()
    const { link } = samples.verify_email
    const { html, text } = await render('verify_email', { link }, reader(locale))
    expect(failures).toEqual([])
    for (const part of [html, text]) {
      expect(part).toContain(link)
      expect(part).not.toMatch(/\bcode\b|undefined/i)
    }
  })
})

test('the languages differ, regions follow their language, and what is not spoken becomes English', async () => {
  const { render } = renderer()
  const subjects = await Promise.all(
    ['de-AT', 'DE', 'en-GB', 'fr-CA', null].map(
      async locale => (await render('password_changed', { at }, reader(locale))).subject,
    ),
  )
  expect(subjects).toEqual([
    'Ihr Passwort für Example & Co wurde geändert',
    'Ihr Passwort für Example & Co wurde geändert',
    'Your Example & Co password was changed',
    'Your Example & Co password was changed',
    'Your Example & Co password was changed',
  ])
})

test('times are in the reader’s zone, also across a change of clocks, and in UTC where it is unknown', async () => {
  const { render } = renderer()
  const time = async (locale: string, zone: string | null, moment: Date | string) =>
    (await render('password_changed', { at: moment }, reader(locale, zone))).text
  expect(await time('en-US', 'America/New_York', at)).toContain('March 28, 2026 at 8:30 PM EDT')
  expect(await time('de-DE', 'Europe/Vienna', at)).toContain('29. März 2026 um 01:30 MEZ')
  expect(await time('de-DE', 'Europe/Vienna', '2026-03-29T01:30:00.000Z')).toContain('03:30 MESZ')
  expect(await time('en-GB', null, at)).toContain('29 March 2026 at 00:30 UTC')
})

describe('what people wrote is inert', () => {
  test('HTML in a name is text', async () => {
    const { html } = await renderer().render(
      'invitation',
      { link: `${site}/x`, inviter: '<img src=x onerror=alert(1)> & "Co"' },
      reader('en'),
    )
    expect(html).not.toContain('<img')
    expect(html).toContain('&lt;img src=x onerror=alert(1)&gt; &amp; &#34;Co&#34;')
  })

  test('template syntax in a name is not run', async () => {
    const name = '{{ 7 | times: 7 }}{% raw %}{{ code }}'
    const { html, text } = await renderer().render('mfa_code', { name, code: '482913' }, reader('en'))
    expect(text).toContain(`Hello ${name},`)
    expect(html).toContain(name)
    expect(html.match(/482913/g)).toHaveLength(1)
  })

  test('line breaks and direction marks in a name begin no line and turn nothing around', async () => {
    const { text } = await renderer().render(
      'username_changed',
      { name: 'Ada\r\nBcc: all\u202e', new_username: 'a\r\nb\u2028c' },
      reader('en'),
    )
    expect(text).toContain('New username: a b c\n')
    expect(text).not.toMatch(/\r|\u202e|\u2028/)
  })

  test.each(['www.spam.example', 'Win at https://x.y', 'spam.example/win', 'a@b.example', 'spam。example'])(
    'a name that mail programs would make a link of is left out: %s',
    async name => {
      const { text, html } = await renderer().render('mfa_code', { name, code: '482913' }, reader('en'))
      expect(text).toMatch(/^Hello,\n/)
      expect(html).not.toContain(name)
    },
  )

  test.each(['Ada Lovelace', 'Dr. Ada M. King', 'Жанна д’Арк', '李小龍', "O'Brien-Smith"])(
    'an ordinary name is said: %s',
    name => {
      expect(sayableName(name)).toBe(name)
    },
  )

  test('whatever the name, no subject has a line break and no page gains a tag', async () => {
    const { render, failures } = renderer()
    const plain = await render('invitation', { link: `${site}/x`, inviter: 'x' }, reader('en'))
    const tags = (html: string) => html.match(/<[a-z!/]/gi)?.length
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 300 }), async text => {
        const { subject, html } = await render(
          'invitation',
          { name: text, inviter: `x${text}`, link: `${site}/x` },
          reader('en'),
        )
        expect(subject).not.toMatch(/[\r\n\0]/)
        expect(tags(html)).toBe(tags(plain.html))
      }),
      { numRuns: 150 },
    )
    expect(failures).toEqual([])
  })
})

describe('an operator’s templates', () => {
  const page = (text: string) =>
    `<mjml><mj-body><mj-section><mj-column><mj-text>${text}</mj-text></mj-column></mj-section></mj-body></mjml>`

  test('the nearest file to the reader’s locale is used, and the rest stays built in', async () => {
    const templatesDir = await folderWith({
      'mfa_code.mjml': page('Any: {{ code }}'),
      'mfa_code.de.mjml': page('Deutsch: {{ data.code }}'),
      'mfa_code.de-AT.mjml': page('Servus {{ data.name }}: {{ code }}'),
      'mfa_code.txt': 'Subject: {{ code }} for {{ data.name }}\n\nCode {{ code }} & more\n',
    })
    const { render, failures } = renderer({ templatesDir })
    const render_ = (locale: string) => render('mfa_code', { name: 'A&B', code: '482913' }, reader(locale))

    expect((await render_('de-AT')).html).toContain('Servus A&amp;B: 482913')
    expect((await render_('de-CH')).html).toContain('Deutsch: 482913')
    expect((await render_('fr')).html).toContain('Any: 482913')
    expect(await render_('fr')).toMatchObject({ subject: '482913 for A&B', text: 'Code 482913 & more\n' })
    expect((await render('password_reset', { link: `${site}/x` }, reader('en'))).html).toContain('Reset your')
    expect(failures).toEqual([])
  })

  test('mail.mjml restyles every mail, and a change takes effect without a restart', async () => {
    const templatesDir = await folderWith({ 'mail.mjml': page('One: {{ heading }}') })
    const { render } = renderer({ templatesDir })
    expect((await render('mfa_code', { code: '1' }, reader('en'))).html).toContain('One: Your sign-in code')
    await writeFile(join(templatesDir, 'mail.mjml'), page('Two: {{ heading }}'))
    expect((await render('mfa_code', { code: '1' }, reader('en'))).html).toContain('Two: Your sign-in code')
  })

  test('one that failed is read again, also where its time says that nothing changed', async () => {
    const templatesDir = await folderWith({ 'mfa_code.txt': 'Broken {% if %}' })
    const { render, failures } = renderer({ templatesDir })
    const file = join(templatesDir, 'mfa_code.txt')
    const { atime, mtime } = await stat(file)
    await render('mfa_code', { code: '1' }, reader('en'))
    await writeFile(file, 'Mended {{ code }}')
    await utimes(file, atime, mtime)
    expect((await render('mfa_code', { code: '1' }, reader('en'))).text).toBe('Mended 1')
    expect(failures).toEqual(['mfa_code'])
  })

  test.each([
    ['is no MJML', { 'mfa_code.mjml': '<p>not closed' }],
    ['has broken Liquid', { 'mfa_code.mjml': page('{% if %}') }],
    ['names what there is not', { 'mfa_code.mjml': page('{{ nothing.here }}') }],
    ['has an unknown filter in its text', { 'mfa_code.txt': 'Subject: x\n{{ code | shout }}' }],
    ['reads files', { 'mfa_code.mjml': page("{% include '/etc/passwd' %}") }],
    ['never ends', { 'mfa_code.mjml': page('{% for i in (1..100000000) %}{{ i }}{% endfor %}') }],
  ])('one that %s is replaced by the built-in one, and counted', async (_why, files) => {
    const { render, failures } = renderer({ templatesDir: await folderWith(files) })
    const { subject, html, text } = await render('mfa_code', { name: 'Ada', code: '482913' }, reader('en'))
    expect(failures).toEqual(['mfa_code'])
    expect(subject).toBe('Your Example & Co sign-in code')
    expect(html).toContain('482913')
    expect(html).toContain('Hello Ada,')
    expect(text).toContain('482913')
    expect(html + text).not.toContain('root:')
  })

  test('a folder that is not there is counted, and mail goes out', async () => {
    const { render, failures } = renderer({ templatesDir: '/nonexistent/folder' })
    expect((await render('mfa_code', { code: '482913' }, reader('en'))).html).toContain('482913')
    expect(failures.length).toBeGreaterThan(0)
  })
})

test('where even the built-in page fails, the mail goes out in plain form, escaped, and is counted', async () => {
  const { render, failures } = renderer({ builtIn: pathToFileURL('/nonexistent/mail.html') })
  const { html, subject } = await render(
    'verify_email',
    { ...samples.verify_email, name: '<b>Ada</b>{{ code }}' },
    reader('de'),
  )
  expect(failures).toEqual(['verify_email'])
  expect(subject).toContain('Bestätigen')
  expect(html).toContain('482913')
  expect(html).toContain(`<a href="${samples.verify_email.link}">`)
  expect(html).not.toContain('<b>Ada')
})

test('a built-in page that could not be read is read again for the next mail', async () => {
  const builtIn = pathToFileURL(join(await folderWith({}), 'mail.html'))
  const { render, failures } = renderer({ builtIn })
  await render('mfa_code', { code: '1' }, reader('en'))
  await writeFile(builtIn, 'Page {{ code }}')
  expect((await render('mfa_code', { code: '1' }, reader('en'))).html).toBe('Page 1')
  expect(failures).toEqual(['mfa_code'])
})

test('a logo stands in place of the name, escaped', async () => {
  const { render } = renderer({ brand: { ...brand, logoUrl: 'https://cdn.example/l.png?a=1&b="' } })
  const { html } = await render('mfa_code', { code: '482913' }, reader('en'))
  expect(html).toContain('src="https://cdn.example/l.png?a=1&amp;b=&#34;"')
})

test.each([
  ['#ffffff', '#16181d'],
  ['#ffd400', '#16181d'],
  ['#2f6feb', '#ffffff'],
  ['#000000', '#ffffff'],
  ['#b91c1c', '#ffffff'],
])('text on a button of %s is %s', (color, text) => {
  expect(readableOn(color)).toBe(text)
})
