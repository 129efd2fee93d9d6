import { createElement as h } from 'react'
import { renderToString } from 'react-dom/server'
import { expect, test } from 'vitest'
import { RosterProvider, SignedIn, SignedOut, useSession, useSettings } from './index.ts'

function Status() {
  return h('p', null, useSession().status)
}

function Form() {
  return useSettings().status
}

test('on a server everybody is loading: nothing is shown to the signed in or out, and nothing is asked', () => {
  const page = h(
    RosterProvider,
    { url: 'http://127.0.0.1:1' },
    h(Status),
    h(SignedIn, null, 'in'),
    h(SignedOut, null, 'out'),
  )
  expect(renderToString(page)).toBe('<p>loading</p>')
})

test('a hook without its provider says so', () => {
  expect(() => renderToString(h(Form))).toThrow('there is no RosterProvider')
})
