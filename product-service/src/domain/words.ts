// What a search compares: words without case and accents.

/** The words of a text, each once: letters and digits only, "Café-Set" is `cafe` and `set`, "Straße" as "STRASSE" is `strasse`. */
export function wordsOf(text: string): string[] {
  const plain = text.normalize('NFKD').replace(/\p{Mark}/gu, '');
  return [
    ...new Set(
      plain
        .toUpperCase()
        .toLowerCase()
        .match(/[\p{Letter}\p{Number}]+/gu) ?? [],
    ),
  ];
}
