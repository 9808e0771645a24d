// `db`, `client` and the rest of what a script sees. Nothing here reaches a server: writes are recorded, reads are a
// fault, or the commands themselves in a Verify section.
(function (hooks, types, COLLECTION) {
  'use strict';
  const { fault, emit, help, note } = hooks;
  let mode = 'closed', groups = 0, pending = [], known;
  const UNKNOWN = new WeakSet();
  const QUIET = new Set(['then', 'toJSON', 'constructor', 'inspect', 'asymmetricMatch', 'nodeType']);
  const isQuiet = (key) => typeof key === 'symbol' || QUIET.has(key);

  const opaque = (complaint, known = {}) => {
    const stub = new Proxy(function () {}, {
      get: (_, key) => key in known ? known[key] : key === Symbol.toPrimitive ? complaint : isQuiet(key) ? undefined : complaint(key),
      has: () => complaint(), ownKeys: () => complaint(), apply: () => complaint(),
      getOwnPropertyDescriptor: () => complaint(),
    });
    UNKNOWN.add(stub);
    return stub;
  };
  const result = () => opaque((key) => fault(`the result of a write${typeof key === 'string' ? ` (\`${key}\`)` : ''} is not known while the migration is being read`,
    'a migration is read before it runs, so that it can be planned; create ids beforehand (`const id = new ObjectId()`), and check what was done in a `// Verify` section'),
  { acknowledged: true, ok: 1 });
  const READ_HELP = 'a migration is read before it runs, so that it can be planned: let the server decide instead, with a pipeline update (`updateMany(filter, [{ $set: … }])`), an aggregation that ends in $merge, or an `update_many` step in a .toml file; to prove something, use a `// Verify` section';
  const readFault = (name) => fault(`\`${name}\` reads from the server, and what a migration does must not depend on what it reads`, READ_HELP);

  const guard = () => { if (mode === 'closed') fault('this runs while the file is loaded, outside of `up` and `down`', 'move it into `up`'); };
  const record = (database, command, group) => {
    guard();
    if (mode === 'verify') fault('a verify section only looks; this writes', 'move it under `// Up`');
    emit(database ?? null, command, group ?? null);
  };

  const CHAIN = { sort: 'sort', limit: 'limit', skip: 'skip', project: 'projection', projection: 'projection', hint: 'hint', collation: 'collation' };
  const cursor = (to, name, command) => {
    guard();
    if (mode !== 'verify') return readFault(name);
    const read = { database: to.database ?? null, command, stack: new Error().stack };
    pending.push(read);
    const complaint = () => fault(`what \`${name}\` finds is not known while the migration is being read`,
      'in a verify section, write the read alone: whatever it finds is a violation');
    const chain = {};
    for (const [method, field] of Object.entries(CHAIN)) chain[method] = (value) => { read.command[field] = value; return stub; };
    for (const method of ['toArray', 'pretty', 'batchSize', 'maxTimeMS', 'allowDiskUse']) chain[method] = () => stub;
    chain.count = chain.size = chain.itcount = () => { read.command = { count: command.find, query: command.filter }; return stub; };
    const stub = opaque(complaint, chain);
    return stub;
  };
  const spent = () => ({ toArray: () => [], next: () => null, hasNext: () => false, forEach() {}, close() {}, itcount: () => 0, pretty() { return this; } });

  const IGNORED = new Set(['session', 'writeConcern', 'w', 'wtimeout', 'j', 'comment', 'maxTimeMS', 'retryWrites', 'readPreference', 'readConcern', 'serializeFunctions', 'ignoreUndefined', 'promoteValues', 'checkKeys', 'strict', 'safe']);
  const options = (to, raw, known, dropped = []) => {
    const picked = { group: to.group };
    for (const [key, value] of Object.entries(raw ?? {})) {
      if (key === 'session') { if (value && value.group) picked.group = value.group(); }
      else if (known.includes(key)) { if (value !== undefined) picked[key] = value; }
      else if (!IGNORED.has(key) && !dropped.includes(key)) fault(`unknown option \`${key}\``, help(key, known));
    }
    return picked;
  };

  const READS = new Set(['find', 'count', 'distinct', 'listCollections', 'listIndexes', 'listDatabases', 'dbStats', 'dbstats', 'collStats', 'collstats', 'ping', 'hello',
    'isMaster', 'ismaster', 'buildInfo', 'buildinfo', 'serverStatus', 'getMore', 'explain', 'validate', 'connectionStatus', 'usersInfo', 'rolesInfo', 'getParameter', 'dataSize', 'dbHash', 'currentOp', 'top', 'whatsmyuri', 'hostInfo', 'replSetGetStatus']);
  const command = (to, document) => {
    if (typeof document === 'string') document = { [document]: 1 };
    const [name] = Object.keys(document ?? {});
    if (name === undefined) fault('the command is empty');
    const last = name === 'aggregate' && Array.isArray(document.pipeline) && document.pipeline.at(-1);
    if (READS.has(name) || name === 'aggregate' && !(last && ('$out' in last || '$merge' in last))) return cursor(to, name, document);
    record(to.database, document, to.group);
    return result();
  };

  const kit = { result, cursor, options, readFault, command, spent, database, collection };
  const methods = COLLECTION({ ...hooks, emit: record }, kit);

  function collection(to, name) {
    if (typeof name !== 'string' || name === '') fault('a collection needs a name');
    const self = { ...to, name };
    const properties = { collectionName: name, _name: name, dbName: to.database, namespace: `${to.database ?? ''}.${name}` };
    return new Proxy(function () {}, {
      get(_, key) {
        if (isQuiet(key)) return undefined;
        if (key === '_recorded') return true;
        if (Object.hasOwn(methods, key)) return (...args) => methods[key](self, ...args);
        if (Object.hasOwn(properties, key)) return properties[key];
        return collection(to, `${name}.${key}`);
      },
      apply() {
        const cut = name.lastIndexOf('.');
        const [owner, last] = cut < 0 ? ['the database', name] : ['a collection', name.slice(cut + 1)];
        fault(`${owner} has no method \`${last}\``, help(last, Object.keys(cut < 0 ? databaseMethods : methods)));
      },
      set: () => fault('a collection cannot be assigned to'),
    });
  }

  const CREATE = ['capped', 'size', 'max', 'autoIndexId', 'storageEngine', 'validator', 'validationLevel', 'validationAction', 'indexOptionDefaults', 'viewOn',
    'pipeline', 'collation', 'timeseries', 'expireAfterSeconds', 'clusteredIndex', 'changeStreamPreAndPostImages', 'encryptedFields'];
  const write = (to, document, group) => { record(to.database, document, group ?? to.group); return result(); };
  const create = (to, name, raw) => {
    const { group, ...rest } = options(to, raw, CREATE, ['flags']);
    write(to, { create: typeof name === 'string' && name ? name : fault('createCollection needs a name'), ...rest });
    return collection(to, name);
  };
  const users = (name) => (to, first, second) => {
    if (name.startsWith('create')) { const { user, role, ...rest } = first; return write(to, { [name]: user ?? role, ...rest }); }
    if (name.startsWith('drop')) return write(to, { [name]: first });
    if (name.startsWith('update')) return write(to, { [name]: first, ...second });
    return write(to, { [name]: first, [name.includes('Privileges') ? 'privileges' : 'roles']: second });
  };
  const REFUSED = 'drop the collections one by one; dropping the database would take the migration history with it';
  const databaseMethods = {
    getCollection: collection, collection,
    getSiblingDB: (to, name) => database(name, to.session), getSisterDB: (to, name) => database(name, to.session),
    getName: (to) => to.database ?? fault('the name of the database is not known before the migration runs', 'it is the one in the URL of the store'),
    getMongo: () => mongo, admin: (to) => database('admin', to.session), aggregate: (to) => readFault('db.aggregate'),
    createCollection: create,
    createView: (to, name, viewOn, pipeline = [], raw = {}) => create(to, name, { viewOn, pipeline: Array.isArray(pipeline) ? pipeline : [pipeline], ...raw }),
    dropCollection: (to, name) => write(to, { drop: name }),
    renameCollection: (to, from, name, raw = {}) => write(to, { renameCollection: from, to: name, ...(raw.dropTarget ? { dropTarget: true } : {}) }),
    createIndex: (to, name, spec, raw) => methods.createIndex({ ...to, name }, spec, raw),
    runCommand: command, command, adminCommand: (to, document) => command({ ...to, database: 'admin' }, document),
    dropDatabase: () => fault('dropDatabase is refused in a migration', REFUSED),
  };
  for (const name of ['createUser', 'updateUser', 'dropUser', 'createRole', 'updateRole', 'dropRole', 'grantRolesToUser', 'revokeRolesFromUser',
    'grantRolesToRole', 'revokeRolesFromRole', 'grantPrivilegesToRole', 'revokePrivilegesFromRole']) databaseMethods[name] = users(name);
  for (const name of ['getCollectionNames', 'getCollectionInfos', 'listCollections', 'collections', 'stats', 'serverStatus', 'currentOp', 'hello', 'isMaster', 'version',
    'getUsers', 'getRoles', 'getUser', 'getRole', 'watch', 'printCollectionStats', 'getProfilingStatus', 'serverBuildInfo', 'hostInfo']) databaseMethods[name] = () => readFault(name);

  function database(name, session) {
    const to = { database: name ?? undefined, session, get group() { return session && session.group(); } };
    return new Proxy(Object.create(null), {
      get(_, key) {
        if (isQuiet(key)) return undefined;
        if (key === '_name' || key === 'databaseName') return databaseMethods.getName(to);
        if (Object.hasOwn(databaseMethods, key)) return (...args) => databaseMethods[key]({ ...to }, ...args);
        return collection({ ...to }, key);
      },
      set: () => fault('a collection cannot be assigned to'),
    });
  }

  // A transaction of the script: its commands run in one, where the server has transactions.
  const startSession = () => {
    let current;
    const session = {
      group: () => current, inTransaction: () => current !== undefined,
      startTransaction() { current = ++groups; }, commitTransaction() { current = undefined; },
      abortTransaction() { current = undefined; }, endSession() { current = undefined; },
      async withTransaction(work) {
        current = ++groups;
        try { return await work(session); } finally { current = undefined; }
      },
      getDatabase: (name) => database(name, session),
    };
    return session;
  };
  const mongo = {
    db: (name) => database(name), getDB: (name) => database(name), startSession,
    async withSession(...args) { return args.at(-1)(startSession()); },
    setReadPref() {}, getDBNames: () => readFault('getDBNames'), connect() { return mongo; }, close() {},
  };

  const show = (value) => {
    if (typeof value === 'string') return value;
    if (value !== null && (typeof value === 'object' || typeof value === 'function') && UNKNOWN.has(value)) return '(not known yet)';
    if (value && typeof value === 'object' && value._bsontype === 'Now') return 'new Date()';
    try { return JSON.stringify(value) ?? String(value); } catch { return String(value); }
  };
  const print = (...values) => note(values.map(show).join(' '));
  const noTimers = () => fault('there is no event loop while a migration is read', 'write the steps one after the other');
  const refuse = (what, way) => () => fault(`${what} is not available in a migration`, way);
  const environment = opaque(() => fault('a migration must not depend on the process that runs it', 'write the value into the file'));
  const modules = { mongodb: types, bson: types };
  const require = (name) => Object.hasOwn(modules, name) ? types
    : fault(`\`require(${JSON.stringify(name)})\` is refused: a migration stands on its own`, 'only the types of `mongodb` and `bson` are there; copy what is needed into the file');
  const shard = (name) => (...args) => {
    if (name === 'enableSharding') return command({ database: 'admin' }, { enableSharding: args[0] });
    const [ns, key, unique, rest] = args;
    return command({ database: 'admin' }, { shardCollection: ns, key, ...(unique ? { unique } : {}), ...rest });
  };
  const globals = {
    print, printjson: print, console: Object.fromEntries(['log', 'info', 'warn', 'error', 'debug', 'dir', 'table', 'trace'].map((name) => [name, print])),
    setTimeout: noTimers, setInterval: noTimers, setImmediate: noTimers, sleep: noTimers, fetch: refuse('the network'), load: refuse('another file', 'copy what is needed into the file'),
    connect: refuse('another connection', 'use db.getSiblingDB(name); another server is another store in dunlin.toml'), Mongo: refuse('another connection', 'another server is another store in dunlin.toml'),
    cat: refuse('a file'), quit: refuse('quit', 'throw an Error to stop'), exit: refuse('exit', 'throw an Error to stop'), process: environment, Buffer: refuse('Buffer', 'write HexData(0, "…") or BinData(0, "…base64…")'),
    queueMicrotask: (work) => { Promise.resolve().then(work); }, require,
    sh: { shardCollection: shard('shardCollection'), enableSharding: shard('enableSharding') },
    rs: environment,
  };
  for (const [name, value] of Object.entries(globals)) Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });

  return {
    open(next) { mode = next; pending = []; groups = 0; },
    close() {
      for (const { database, command, stack } of pending) emit(database, command, null, stack);
      pending = []; mode = 'closed';
    },
    database: () => database(), client: mongo, require,
    // Forgets the globals a script made by assigning to a name it never declared.
    tidy() {
      const names = Object.getOwnPropertyNames(globalThis);
      if (known && names.length > known.size) for (const name of names) if (!known.has(name)) delete globalThis[name];
      known ??= new Set(names);
    },
  };
})
