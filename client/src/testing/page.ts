import { createElement as h } from 'react'
import { createRoot } from 'react-dom/client'
import { createRoster } from '../index.ts'
import { RosterProvider, SignedIn, SignedOut, useSession, useSettings, useUser } from '../react/index.ts'

/* A page of an application: what browser.test.ts looks at and presses. */

const roster = createRoster({ url: new URLSearchParams(location.search).get('service') ?? '' })
Object.assign(window, { roster })

function Name() {
  return h('p', { id: 'name' }, useUser()?.email)
}

function Status() {
  return h('p', { id: 'status' }, useSession().status)
}

function Form() {
  const { fields } = useSettings('preferences')
  return fields.map(field =>
    h(
      'label',
      { key: field.key },
      field.label,
      h('input', {
        id: field.key,
        type: field.control,
        defaultValue: String(field.value),
        onBlur: event =>
          field.set(field.control === 'number' ? Number(event.target.value) : event.target.value),
      }),
      h('output', { id: `${field.key}.value` }, JSON.stringify(field.value)),
      h('em', { id: `${field.key}.error` }, field.error),
    ),
  )
}

createRoot(document.body.appendChild(document.createElement('main'))).render(
  h(
    RosterProvider,
    { roster },
    h(Status),
    h(SignedIn, null, h(Name), h(Form)),
    h(SignedOut, null, h('p', { id: 'out' }, 'Sign in')),
  ),
)
