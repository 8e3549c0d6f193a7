// Tables in memory that behave as those of the browser's storage, which node lacks.

/** Return a storage; `left` is the number of rows that fit on the device. */
export function memoryStorage({ TABLES, storageError }) {
  let before = Promise.resolve();
  const storage = {
    left: Infinity,
    tables: Object.fromEntries(Object.keys(TABLES).map((table) => [table, new Map()])),
    write(work) {
      const done = before.then(async () => {
        const tables = Object.fromEntries(Object.entries(storage.tables).map(([table, rows]) => [table, new Map(rows)]));
        try {
          const result = await work(transaction(TABLES, tables, storage));
          storage.tables = tables;
          return result;
        } catch (error) {
          throw storageError(error);
        }
      });
      before = done.catch(() => {});
      return done;
    },
    read: (work) => storage.write(work),
  };
  return storage;
}

function transaction(TABLES, tables, storage) {
  const toText = (key) => JSON.stringify([key].flat());
  const keyOf = (table, row) => toText([TABLES[table]].flat().map((field) => row[field]));
  const find = (table, first) => [...tables[table]].map(([key, row]) => ({ key: JSON.parse(key), row }))
    .filter(({ key }) => first === undefined || key[0] === first).sort((a, b) => compare(a.key, b.key));
  return {
    get: async (table, key) => structuredClone(tables[table].get(toText(key))),
    list: async (table, first) => structuredClone(find(table, first).map(({ row }) => row)),
    lastNumber: async (table, first) => find(table, first).at(-1)?.key.at(-1) ?? 0,
    async put(table, row) {
      if (storage.left-- <= 0) throw new DOMException("full", "QuotaExceededError");
      tables[table].set(keyOf(table, row), structuredClone(row));
    },
    delete: async (table, key) => { tables[table].delete(toText(key)); },
  };
}

function compare(a, b) {
  const at = a.findIndex((part, i) => part !== b[i]);
  return at < 0 ? 0 : a[at] < b[at] ? -1 : 1;
}
