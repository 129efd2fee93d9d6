/*
 * The one script of the pages: what only a browser can do. Passkeys, ticking off a password's rules as it is typed,
 * and keeping an impatient second click from posting a form again. Every page works without it, passkeys excepted.
 * Browsers get this file as it is; its types are checked from the comments.
 */

const supportsPasskeys =
  typeof PublicKeyCredential === 'function' &&
  'parseRequestOptionsFromJSON' in PublicKeyCredential &&
  'parseCreationOptionsFromJSON' in PublicKeyCredential

/** @type {AbortController | undefined} A suggestion that waits in the name field; pressing the button calls it off. */
let suggestion

/**
 * @template {Element} E
 * @param {string} selector
 * @param {new () => E} kind
 */
function all(selector, kind) {
  /** @type {E[]} */
  const found = []
  for (const one of document.querySelectorAll(selector)) if (one instanceof kind) found.push(one)
  return found
}

if (supportsPasskeys) {
  for (const part of all('[data-passkeys]', HTMLElement)) part.hidden = false
  for (const input of all('[data-can-make-passkeys]', HTMLInputElement)) input.value = '1'
  for (const button of all('[data-passkey]', HTMLButtonElement)) watchPasskeyButton(button)
  void suggestPasskeys()
}
for (const rules of all('[data-rules-of]', HTMLElement)) watchPassword(rules)
for (const form of all('form', HTMLFormElement)) form.addEventListener('submit', postOnce)
// A page that comes back from the browser's memory is as it was left: its buttons work again.
addEventListener('pageshow', () => {
  for (const button of all('button[aria-busy]', HTMLButtonElement)) button.removeAttribute('aria-busy')
})

/** @param {HTMLButtonElement} button */
function watchPasskeyButton(button) {
  const { form } = button
  if (!form) return
  button.addEventListener('click', async () => {
    suggestion?.abort()
    button.setAttribute('aria-busy', 'true')
    try {
      submitCredential(form, await ask(button.dataset.passkey, button.dataset.options))
    } catch {
      const failed = form.querySelector('[data-passkey-failed]')
      if (failed instanceof HTMLElement) failed.hidden = false
    }
    button.removeAttribute('aria-busy')
  })
}

/**
 * @param {string | undefined} kind `create`, `get`, or `sign-in`, whose options are fetched
 * @param {string | undefined} options
 */
async function ask(kind, options = '') {
  if (kind === 'create') {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(options))
    return navigator.credentials.create({ publicKey })
  }
  const json = kind === 'sign-in' ? await fetchOptions() : JSON.parse(options)
  return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(json) })
}

/** @returns {Promise<PublicKeyCredentialRequestOptionsJSON>} */
async function fetchOptions() {
  const reply = await fetch('/api/v1/auth/passkeys/login/options', { method: 'POST' })
  if (!reply.ok) throw new Error(String(reply.status))
  return reply.json()
}

/** Offers passkeys in the name field's own suggestions (conditional mediation), where there is one. */
async function suggestPasskeys() {
  const name = document.querySelector('input[autocomplete~="webauthn"]')
  const [button] = all('[data-passkey="sign-in"]', HTMLButtonElement)
  if (!name || !button?.form || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return
  suggestion = new AbortController()
  try {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(await fetchOptions())
    const { signal } = suggestion
    submitCredential(
      button.form,
      await navigator.credentials.get({ publicKey, mediation: 'conditional', signal }),
    )
  } catch {
    // Called off, or none chosen: the form is there all the same.
  }
}

/**
 * @param {HTMLFormElement} form
 * @param {Credential | null} credential
 */
function submitCredential(form, credential) {
  const field = form.elements.namedItem('credential')
  if (!(credential instanceof PublicKeyCredential) || !(field instanceof HTMLInputElement)) return
  field.value = JSON.stringify(credential)
  form.requestSubmit()
}

/** @param {HTMLElement} rules */
function watchPassword(rules) {
  const input = document.getElementById(rules.dataset.rulesOf ?? '')
  if (!(input instanceof HTMLInputElement)) return
  const tick = () => {
    for (const rule of rules.querySelectorAll('[data-pattern]')) {
      const pattern = rule.getAttribute('data-pattern') ?? ''
      rule.classList.toggle('kept', new RegExp(pattern, 'su').test(input.value.normalize('NFC')))
    }
  }
  input.addEventListener('input', tick)
  tick()
}

/** @param {SubmitEvent} event */
function postOnce(event) {
  const { submitter } = event
  if (!submitter) return
  if (submitter.getAttribute('aria-busy') === 'true') event.preventDefault()
  submitter.setAttribute('aria-busy', 'true')
}
