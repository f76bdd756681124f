// A customer keeps an address no longer; orders have their own copy.
import { deleteAddress } from '../data/address-repository.ts';
import type { Deps } from '../deps.ts';
import { addressNotFound } from '../domain/errors.ts';

export interface RemoveAddress {
  userId: string;
  addressId: string;
}

/** @throws AppError `not-found`, also where the address is somebody else's */
export async function removeAddress({ userId, addressId }: RemoveAddress, { db }: Pick<Deps, 'db'>): Promise<void> {
  if (!(await deleteAddress(db, userId, addressId))) throw addressNotFound();
}
