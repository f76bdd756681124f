// An address that a customer keeps.
import type { Address } from '@glasshouse/shared/contracts';

export interface SavedAddress extends Address {
  id: string;
  createdAt: Date;
}

/** More is no address book. */
export const MAX_ADDRESSES = 50;
