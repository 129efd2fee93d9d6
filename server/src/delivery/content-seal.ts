import { deriveKey, seal, unseal } from '../lib/secrets.ts'

/** What a message says, encrypted for as long as it waits: codes and links are as good as passwords. */
export type ContentSeal = {
  close(messageId: string, data: object): Buffer
  /** @throws where it was changed, moved to another message, or sealed under another key */
  open(messageId: string, sealed: Buffer): unknown
}

export function createContentSeal(root: Buffer): ContentSeal {
  const key = deriveKey(root, 'messages')
  return {
    close: (messageId, data) => seal(key, JSON.stringify(data), messageId),
    open: (messageId, sealed) => JSON.parse(unseal(key, sealed, messageId).toString()),
  }
}
