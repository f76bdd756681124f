// Users and their passwords, as they stand in the addresses that the services are given: each password is in one place only.

export interface Login {
  name: string;
  password: string;
}

/** The login in an address. */
export function loginOf(address: string): Login {
  const { username, password } = new URL(address);
  return { name: decodeURIComponent(username), password: decodeURIComponent(password) };
}

/** The database that an address names. */
export const databaseOf = (address: string): string => new URL(address).pathname.slice(1);

/** The same address with this password in it. */
export function withPassword(address: string, password: string): string {
  const url = new URL(address);
  url.password = encodeURIComponent(password);
  return url.href;
}
