export const addressRule = 'expected host:port (an IPv6 host in brackets, a port from 1 to 65535)';

/** `host:port`, as `listen` and `connect` take it. */
export function isAddress(text: string): boolean {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[^\s:[\]]+):(\d{1,5})$/.exec(text);
  if (match === null) return false;
  const port = Number(match[2]);
  return port >= 1 && port <= 65_535;
}
