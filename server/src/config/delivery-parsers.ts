import { phoneKey } from '../lib/phone.ts'
import { emailKey, hasControls, webUrl } from '../lib/text.ts'
import { BadValue, type Parser } from './setting.ts'

/** Who a mail is from; without a name of its own, the brand's. */
export type Sender = { name: string | undefined; address: string }

/** `address` or `Name <address>` (RFC 5322, section 3.4, without comments and groups). */
export const sender: Parser<Sender> = {
  takes: 'an address such as `Example <accounts@example.com>`',
  parse(text) {
    const [, quoted, plain, inBrackets, bare] =
      /^\s*(?:(?:"([^"<>]*)"|([^"<>]*?))\s*<([^<>\s]+)>|([^<>\s]+))\s*$/.exec(text) ?? []
    const address = inBrackets ?? bare ?? ''
    const name = (quoted ?? plain)?.trim() || undefined
    if (emailKey(address) === null || hasControls(name ?? '')) throw new BadValue()
    return { name, address }
  },
  print: ({ name, address }) => (name === undefined ? address : `${name} <${address}>`),
}

export const color: Parser<string> = {
  takes: 'a colour such as `#2f6feb`',
  parse(text) {
    const value = text.trim().toLowerCase()
    if (!/^#[0-9a-f]{6}$/.test(value)) throw new BadValue()
    return value
  },
}

export const imageUrl: Parser<string> = {
  takes: 'an http or https address that anyone can load',
  parse(text) {
    const url = webUrl(text.trim())
    if (url === null) throw new BadValue()
    return url
  },
}

export const webAddress: Parser<string> = {
  takes: 'an http or https address',
  parse(text) {
    const url = webUrl(text.trim())
    if (url === null) throw new BadValue()
    return url
  },
}

export const mailAddress: Parser<string> = {
  takes: 'an e-mail address',
  parse(text) {
    const value = text.trim()
    if (emailKey(value) === null) throw new BadValue()
    return value
  },
}

export const twilioAccount: Parser<string> = {
  takes: '`AC` and 32 hexadecimal digits',
  parse(text) {
    const value = text.trim()
    if (!/^AC[0-9a-f]{32}$/i.test(value)) throw new BadValue()
    return value
  },
}

/** What Twilio takes as a sender. */
export const smsSender: Parser<string> = {
  takes:
    'a number such as `+12025550123`, a sender name of up to 11 letters and digits, or `MG` and 32 digits',
  parse(text) {
    const value = text.trim()
    if (/^MG[0-9a-f]{32}$/i.test(value)) return value
    if (/^(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}$/.test(value)) return value
    const number = phoneKey(value)
    if (number === null) throw new BadValue()
    return number
  },
}
