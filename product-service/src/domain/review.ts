// What a customer says about a product that they have bought.

export interface Review {
  id: string;
  productId: string;
  userId: string;
  /** 1 to 5. */
  rating: number;
  title: string;
  text: string;
  createdAt: Date;
}
