// The page that keeps the figures: each measurement has its place between two markers, and the prose around it stays.

const begin = (name: string) => `<!-- figures: ${name} -->`;
const END = '<!-- end of figures -->';

/**
 * The page with the figures of one measurement in their place.
 * @throws where the page has no such place
 */
export function withFigures(page: string, name: string, figures: string): string {
  const from = page.indexOf(begin(name));
  const to = page.indexOf(END, from);
  if (from === -1 || to === -1) throw new Error(`The page has no place for figures of "${name}".`);
  return `${page.slice(0, from + begin(name).length)}\n\n${figures.trim()}\n\n${page.slice(to)}`;
}
