// The methods of a collection. Each builds the command document that the Node driver would send.
(function (hooks, kit) {
  'use strict';
  const { fault, emit, help } = hooks;
  const { result, cursor, options, readFault } = kit;
  const isDocument = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
  const document = (value, what) => isDocument(value) ? value : fault(`${what} must be a document`);
  const hasOperators = (update) => Array.isArray(update) || isDocument(update) && Object.keys(update).length > 0 && Object.keys(update).every((key) => key[0] === '$');
  const operators = (update) => hasOperators(update) ? update
    : fault('the update has no operators', 'write { $set: { … } } or a pipeline [{ $set: { … } }]; replaceOne replaces the whole document');
  const replacement = (value) => isDocument(value) && !Object.keys(value).some((key) => key[0] === '$') ? value
    : fault('the replacement must be a document without operators', 'updateOne takes operators such as $set');
  const filter = (value) => value === undefined
    ? fault('the filter is missing', 'write {} to mean every document') : document(value, 'the filter');
  const present = (entries) => Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined && value !== false));

  const STATEMENT = ['upsert', 'collation', 'arrayFilters', 'hint'];
  const COMMAND = ['let', 'bypassDocumentValidation'];
  const send = (to, command, picked) => {
    emit(to.database, command, picked ? picked.group : to.group);
    return result();
  };
  const statement = (q, u, picked, multi) => ({ q, u, ...present({ upsert: picked.upsert, multi, collation: picked.collation, arrayFilters: picked.arrayFilters, hint: picked.hint }) });
  const update = (to, q, u, raw, multi) => {
    const picked = options(to, raw, [...STATEMENT, ...COMMAND, 'sort']);
    const { let: lets, bypassDocumentValidation } = picked;
    return send(to, { update: to.name, updates: [{ ...statement(filter(q), u, picked, multi), ...present({ sort: picked.sort }) }], ...present({ let: lets, bypassDocumentValidation }) }, picked);
  };
  const remove = (to, q, raw, limit) => {
    const picked = options(to, raw, ['collation', 'hint', 'let']);
    return send(to, { delete: to.name, deletes: [{ q: filter(q), limit, ...present({ collation: picked.collation, hint: picked.hint }) }], ...present({ let: picked.let }) }, picked);
  };
  const insert = (to, documents, raw) => {
    const picked = options(to, raw, ['ordered', 'bypassDocumentValidation']);
    if (!Array.isArray(documents) || documents.length === 0) fault('there is nothing to insert', 'give a list of documents');
    documents.forEach((one) => document(one, 'what is inserted'));
    return send(to, { insert: to.name, documents, ...(picked.ordered === false ? { ordered: false } : {}), ...present({ bypassDocumentValidation: picked.bypassDocumentValidation }) }, picked);
  };
  const modify = (to, query, change, raw) => {
    const picked = options(to, raw, ['sort', 'upsert', 'collation', 'arrayFilters', 'hint', 'let', 'bypassDocumentValidation'],
      ['projection', 'fields', 'returnDocument', 'returnOriginal', 'returnNewDocument', 'includeResultMetadata', 'rawResult', 'new']);
    const { group, ...rest } = picked;
    return send(to, { findAndModify: to.name, query: filter(query), ...present(rest), ...change }, picked);
  };
  // A path, a list of paths and directions, or a document of them.
  const keys = (spec) => {
    if (typeof spec === 'string') return { [spec]: 1 };
    if (spec instanceof Map) return Object.fromEntries(spec);
    if (Array.isArray(spec)) {
      if (spec.length === 2 && typeof spec[0] === 'string' && typeof spec[1] !== 'string') return { [spec[0]]: spec[1] };
      return Object.assign({}, ...spec.map(keys));
    }
    return document(spec, 'the index key');
  };
  const direction = (value) => value && value._bsontype ? String(value) : value;
  const indexName = (key) => Object.entries(key).map(([path, way]) => `${path}_${direction(way)}`).join('_');
  const INDEX = ['unique', 'sparse', 'name', 'expireAfterSeconds', 'partialFilterExpression', 'collation', 'weights',
    'default_language', 'language_override', 'textIndexVersion', '2dsphereIndexVersion', 'bits', 'min', 'max', 'bucketSize',
    'wildcardProjection', 'hidden', 'storageEngine', 'v', 'prepareUnique', 'version'];
  const indexSpec = (to, spec, raw) => {
    const { group, version, ...rest } = options(to, raw, INDEX, ['background', 'commitQuorum']);
    const key = keys(spec);
    if (Object.keys(key).length === 0) fault('the index has no key');
    return { key, name: rest.name ?? indexName(key), ...present({ ...rest, name: undefined, ...(version === undefined ? {} : { v: version }) }) };
  };
  const index = (to, indexes, quorum) => send(to, { createIndexes: to.name, indexes, ...(quorum === undefined ? {} : { commitQuorum: quorum }) });

  const BULK = {
    insertOne: (to, one) => ['insert', document(one.document ?? one, 'what is inserted')],
    updateOne: (to, one) => ['update', statement(filter(one.filter), operators(one.update), one)],
    updateMany: (to, one) => ['update', statement(filter(one.filter), operators(one.update), one, true)],
    replaceOne: (to, one) => ['update', statement(filter(one.filter), replacement(one.replacement), one)],
    deleteOne: (to, one) => ['delete', { q: filter(one.filter), limit: 1, ...present({ collation: one.collation, hint: one.hint }) }],
    deleteMany: (to, one) => ['delete', { q: filter(one.filter), limit: 0, ...present({ collation: one.collation, hint: one.hint }) }],
  };
  const FIELD = { insert: 'documents', update: 'updates', delete: 'deletes' };
  const bulk = (to, operations, raw) => {
    const picked = options(to, raw, ['ordered', 'let', 'bypassDocumentValidation']);
    if (!Array.isArray(operations)) fault('bulkWrite needs a list of operations');
    const commands = [];
    for (const operation of operations) {
      const [name] = Object.keys(document(operation, 'an operation'));
      if (!Object.hasOwn(BULK, name)) fault(`unknown bulk operation \`${name}\``, help(name, Object.keys(BULK)));
      const [kind, body] = BULK[name](to, operation[name]);
      const last = commands.at(-1);
      if (last && last.kind === kind) last.bodies.push(body); else commands.push({ kind, bodies: [body] });
    }
    for (const { kind, bodies } of commands) {
      send(to, { [kind]: to.name, [FIELD[kind]]: bodies, ...(picked.ordered === false ? { ordered: false } : {}),
        ...(kind === 'insert' ? {} : present({ let: picked.let })), ...present({ bypassDocumentValidation: kind === 'delete' ? undefined : picked.bypassDocumentValidation }) }, picked);
    }
    return result();
  };
  const builder = (to, ordered) => {
    const operations = [];
    const add = (name, body) => { operations.push({ [name]: body }); };
    const find = (q, extra = {}) => ({
      upsert: () => find(q, { ...extra, upsert: true }), collation: (collation) => find(q, { ...extra, collation }),
      arrayFilters: (arrayFilters) => find(q, { ...extra, arrayFilters }), hint: (hint) => find(q, { ...extra, hint }),
      update: (u) => add('updateMany', { filter: q, update: u, ...extra }), updateOne: (u) => add('updateOne', { filter: q, update: u, ...extra }),
      replaceOne: (u) => add('replaceOne', { filter: q, replacement: u, ...extra }),
      remove: () => add('deleteMany', { filter: q, ...extra }), delete: () => add('deleteMany', { filter: q, ...extra }),
      deleteOne: () => add('deleteOne', { filter: q, ...extra }), removeOne: () => add('deleteOne', { filter: q, ...extra }),
    });
    return { find: (q) => find(q), insert: (one) => add('insertOne', { document: one }), execute: (raw) => bulk(to, operations, { ...raw, ordered }) };
  };

  const methods = {
    insertOne: (to, one, raw) => insert(to, [one], raw),
    insertMany: (to, many, raw) => insert(to, many, raw),
    insert: (to, what, raw) => insert(to, Array.isArray(what) ? what : [what], raw),
    updateOne: (to, q, u, raw) => update(to, q, operators(u), raw),
    updateMany: (to, q, u, raw) => update(to, q, operators(u), raw, true),
    replaceOne: (to, q, u, raw) => update(to, q, replacement(u), raw),
    update(to, q, u, raw = {}) {
      const { multi, ...rest } = raw;
      return update(to, q, hasOperators(u) ? u : replacement(u), rest, multi);
    },
    deleteOne: (to, q, raw) => remove(to, q, raw, 1),
    deleteMany: (to, q, raw) => remove(to, q, raw, 0),
    remove(to, q, raw) {
      const { justOne, ...rest } = typeof raw === 'boolean' ? { justOne: raw } : raw ?? {};
      return remove(to, q, rest, justOne ? 1 : 0);
    },
    findOneAndUpdate: (to, q, u, raw) => modify(to, q, { update: operators(u) }, raw),
    findOneAndReplace: (to, q, u, raw) => modify(to, q, { update: replacement(u) }, raw),
    findOneAndDelete: (to, q, raw) => modify(to, q, { remove: true }, raw),
    findAndModify(to, { query = {}, update: u, remove: gone, ...raw } = {}) {
      return modify(to, query, gone ? { remove: true } : { update: hasOperators(u) ? u : replacement(u) }, raw);
    },
    bulkWrite: bulk,
    initializeOrderedBulkOp: (to) => builder(to, true),
    initializeUnorderedBulkOp: (to) => builder(to, false),
    createIndex: (to, spec, raw, quorum) => index(to, [indexSpec(to, spec, raw)], quorum),
    ensureIndex: (to, spec, raw) => index(to, [indexSpec(to, spec, raw)]),
    createIndexes(to, specs, raw, quorum) {
      if (!Array.isArray(specs)) return index(to, [indexSpec(to, specs, raw)], quorum);
      const one = (spec) => {
        if (!isDocument(spec) || !isDocument(spec.key)) return indexSpec(to, spec, raw);
        const { key, ...rest } = spec;
        return indexSpec(to, key, { ...raw, ...rest });
      };
      return index(to, specs.map(one), quorum);
    },
    dropIndex: (to, what) => send(to, { dropIndexes: to.name, index: what ?? fault('dropIndex needs a name or a key') }),
    dropIndexes: (to, what) => send(to, { dropIndexes: to.name, index: isDocument(what) && what.session ? '*' : what ?? '*' }),
    dropAllIndexes: (to) => send(to, { dropIndexes: to.name, index: '*' }),
    hideIndex: (to, what) => send(to, { collMod: to.name, index: { [typeof what === 'string' ? 'name' : 'keyPattern']: what, hidden: true } }),
    unhideIndex: (to, what) => send(to, { collMod: to.name, index: { [typeof what === 'string' ? 'name' : 'keyPattern']: what, hidden: false } }),
    drop: (to) => send(to, { drop: to.name }),
    renameCollection: (to, name, drop) => send(to, { renameCollection: to.name, to: name, ...present({ dropTarget: isDocument(drop) ? drop.dropTarget : drop }) }),
    rename: (to, name, raw) => send(to, { renameCollection: to.name, to: name, ...present({ dropTarget: options(to, raw, ['dropTarget']).dropTarget }) }),
    convertToCapped: (to, size) => send(to, { convertToCapped: to.name, size }),
    runCommand: (to, command, rest) => kit.command(to, typeof command === 'string' ? { [command]: to.name, ...rest } : command),
    aggregate(to, ...stages) {
      const [pipeline, raw] = Array.isArray(stages[0]) ? stages : [stages, {}];
      const picked = options(to, raw, ['allowDiskUse', 'collation', 'hint', 'let', 'bypassDocumentValidation', 'maxTimeMS'], ['cursor', 'batchSize']);
      const { group, ...rest } = picked;
      const last = pipeline.at(-1);
      const command = { aggregate: to.name, pipeline, cursor: {}, ...rest };
      if (!isDocument(last) || !('$out' in last || '$merge' in last)) return cursor(to, 'aggregate', command);
      emit(to.database, command, group);
      return kit.spent();
    },
    find(to, q = {}, projection, raw) {
      const picked = options(to, raw, ['sort', 'limit', 'skip', 'projection', 'collation', 'hint', 'let'], ['batchSize']);
      const { group, ...rest } = picked;
      return cursor(to, 'find', { find: to.name, filter: filter(q), ...(projection && !projection.projection ? { projection } : projection), ...rest });
    },
    findOne: (to, q = {}) => cursor(to, 'findOne', { find: to.name, filter: filter(q), limit: 1 }),
    countDocuments: (to, q = {}) => cursor(to, 'countDocuments', { count: to.name, query: filter(q) }),
    count: (to, q = {}) => cursor(to, 'count', { count: to.name, query: filter(q) }),
    estimatedDocumentCount: (to) => cursor(to, 'estimatedDocumentCount', { count: to.name }),
    distinct: (to, key, q = {}) => cursor(to, 'distinct', { distinct: to.name, key, query: filter(q) }),
    getName: (to) => to.name,
    getDB: (to) => kit.database(to.database, to.session),
    getFullName: (to) => `${to.database ?? fault('the name of the database is not known before the migration runs')}.${to.name}`,
    getCollection: (to, name) => kit.collection(to, `${to.name}.${name}`),
    toString: (to) => to.name,
  };
  for (const name of ['getIndexes', 'indexes', 'listIndexes', 'indexExists', 'indexInformation', 'getIndexKeys', 'stats', 'isCapped', 'options', 'exists',
    'dataSize', 'storageSize', 'totalSize', 'totalIndexSize', 'explain', 'mapReduce', 'watch', 'validate', 'getShardDistribution', 'latencyStats']) {
    methods[name] = (to) => readFault(name);
  }
  return methods;
})
