/**
 * MJML to HTML; Liquid in it passes through. The compiler takes a second and 80 MB to load, so it is loaded
 * when first needed: by `npm run generate`, and where an operator has templates of their own.
 * @param file where the source is, for `mj-include`
 * @throws where the source is no MJML
 */
export async function compileMjml(source: string, file: string): Promise<string> {
  const { default: mjml } = await import('mjml')
  const { html } = await mjml(source, {
    filePath: file,
    ignoreIncludes: false,
    // Colours and sizes may be Liquid, which the validator would not know.
    validationLevel: 'skip',
    keepComments: false,
    // Without this, a font that a template names would be loaded from a host of its own.
    fonts: {},
  })
  return `${html
    .replace(/^\s+$/gm, '')
    .replace(/\n{2,}/g, '\n')
    .trim()}\n`
}
