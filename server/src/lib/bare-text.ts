/**
 * What mail programs, phones and people put between digits: white space, what nobody sees, and dashes of every
 * kind, the mathematical minus and the long-vowel mark of Japanese keyboards among them.
 */
const fillers = /[\s\p{Z}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\p{Pd}\u02d7\u2043\u2212\u30fc\uff70]/gu

/** A text without white space, dashes and invisible characters: `"052\u00a0521 "` is `052521`. */
export const bareText = (text: string): string => text.replace(fillers, '')

/** A code of six digits, however it was typed or pasted; null where the text can't be one. */
export function sixDigits(text: string): string | null {
  const bare = bareText(text)
  return /^[0-9]{6}$/.test(bare) ? bare : null
}
