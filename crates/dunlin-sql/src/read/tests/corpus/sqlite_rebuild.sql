-- A table rebuild as a framework writes it: new table, copy, drop, rename.
-- Up
CREATE TABLE "new__shop_order" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "note" varchar(40) NOT NULL DEFAULT 'a;b', "customer_id" bigint NOT NULL REFERENCES "shop_customer" ("id") DEFERRABLE INITIALLY DEFERRED, "state" varchar(8) NOT NULL CHECK ("state" IN ('open', 'paid;')));
INSERT INTO "new__shop_order" ("id", "note", "customer_id", "state") SELECT "id", coalesce("note", ''), "customer_id", 'open' FROM "shop_order";
DROP TABLE "shop_order";
ALTER TABLE "new__shop_order" RENAME TO "shop_order";
CREATE INDEX "shop_order_customer_id_5d6f" ON "shop_order" ("customer_id");
CREATE TRIGGER [shop_order touch] AFTER UPDATE ON `shop_order` WHEN old."note" <> new."note"
BEGIN
  -- the end; is near
  UPDATE "shop_order" SET "state" = CASE new."note" WHEN 'END;' THEN 'paid;' ELSE 'open' END WHERE "id" = new."id";
  INSERT INTO "shop_log" VALUES (new."id", 'it''s; changed');
END;

-- Down
DROP TRIGGER [shop_order touch];
CREATE TABLE "altered_shop_order" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "note" varchar, "customer_id" bigint);
INSERT INTO "altered_shop_order" SELECT "id", "note", "customer_id" FROM "shop_order";
DROP TABLE "shop_order";
CREATE TABLE "shop_order" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "note" varchar, "customer_id" bigint);
INSERT INTO "shop_order" SELECT * FROM "altered_shop_order";
DROP TABLE "altered_shop_order";
