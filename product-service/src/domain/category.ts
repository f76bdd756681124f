// A category: a name over products, known by its slug.

export interface Category {
  /** The slug. */
  id: string;
  name: string;
}

/** A category as the catalogue shows it. */
export interface ListedCategory extends Category {
  productCount: number;
}

/** The name to show for a slug: "Garden tools" for `garden-tools`. */
export function nameOfCategory(slug: string): string {
  const words = slug.split('-').filter((word) => word !== '');
  const name = words.join(' ') || slug;
  return name.charAt(0).toUpperCase() + name.slice(1);
}
