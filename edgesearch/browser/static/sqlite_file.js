// Read a SQLite file of a bundle, in SQLite's own WebAssembly.

/**
 * Open a database in memory.
 * @param {any} sqlite3 the initialized module of sqlite-wasm
 * @param {Uint8Array | null} content null for an empty database
 * @returns {any}
 */
export function openDatabase(sqlite3, content) {
  const database = new sqlite3.oo1.DB(":memory:");
  if (!content) return database;
  const address = sqlite3.wasm.allocFromTypedArray(content);
  const flags = sqlite3.capi.SQLITE_DESERIALIZE_FREEONCLOSE | sqlite3.capi.SQLITE_DESERIALIZE_READONLY;
  database.checkRc(sqlite3.capi.sqlite3_deserialize(database.pointer, "main", address, content.length, content.length, flags));
  return database;
}
