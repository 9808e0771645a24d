--
-- PostgreSQL database dump
--

\restrict zJWy7QNSOXJfNJSXolPamQtFgesbGOJEZ7lksVdE1sUHSLbuhoi2ZMmhO7yK7Jo

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: shop; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA shop;


--
-- Name: state; Type: TYPE; Schema: shop; Owner: -
--

CREATE TYPE shop.state AS ENUM (
    'open',
    'paid; sent'
);


--
-- Name: old(integer); Type: FUNCTION; Schema: shop; Owner: -
--

CREATE FUNCTION shop.old(a integer) RETURNS integer
    LANGUAGE sql
    AS $_$SELECT 1; SELECT 'a;' IS NULL; SELECT $1;$_$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: orders; Type: TABLE; Schema: shop; Owner: -
--

CREATE TABLE shop.orders (
    id bigint NOT NULL,
    "Note" text DEFAULT 'a;b'::text,
    state shop.state NOT NULL,
    data jsonb DEFAULT '{"a": ";"}'::jsonb,
    CONSTRAINT orders_data_check CHECK (((data ? 'a'::text) OR (data ?| ARRAY['x;'::text, 'y'::text])))
);


--
-- Name: TABLE orders; Type: COMMENT; Schema: shop; Owner: -
--

COMMENT ON TABLE shop.orders IS 'what people; bought';


--
-- Name: total(integer); Type: FUNCTION; Schema: shop; Owner: -
--

CREATE FUNCTION shop.total(a integer) RETURNS integer
    LANGUAGE sql
    BEGIN ATOMIC
 INSERT INTO shop.orders (state)
   VALUES ('open'::shop.state);
 SELECT
         CASE
             WHEN (a > 0) THEN a
             ELSE 0
         END AS "case";
END;


--
-- Name: touch(); Type: FUNCTION; Schema: shop; Owner: -
--

CREATE FUNCTION shop.touch() RETURNS trigger
    LANGUAGE plpgsql
    AS $_$
BEGIN
  -- semicolons; and 'quotes'
  NEW."Note" := coalesce(NEW."Note", $q$;$q$) || E'\'';
  RETURN NEW;
END;
$_$;


--
-- Name: open_orders; Type: VIEW; Schema: shop; Owner: -
--

CREATE VIEW shop.open_orders AS
 SELECT orders.id,
    orders."Note"
   FROM shop.orders
  WHERE (orders.state = 'open'::shop.state);


--
-- Name: orders_id_seq; Type: SEQUENCE; Schema: shop; Owner: -
--

ALTER TABLE shop.orders ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME shop.orders_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Data for Name: orders; Type: TABLE DATA; Schema: shop; Owner: -
--

COPY shop.orders (id, "Note", state, data) FROM stdin;
1	tab\there; it's	open	{"a": ";"}
2	\N	paid; sent	{"a": ";"}
3	\\.	open	{"a": ";"}
\.


--
-- Name: orders_id_seq; Type: SEQUENCE SET; Schema: shop; Owner: -
--

SELECT pg_catalog.setval('shop.orders_id_seq', 3, true);


--
-- Name: orders orders_pkey; Type: CONSTRAINT; Schema: shop; Owner: -
--

ALTER TABLE ONLY shop.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);


--
-- Name: orders_state; Type: INDEX; Schema: shop; Owner: -
--

CREATE INDEX orders_state ON shop.orders USING btree (state);


--
-- Name: open_orders add; Type: RULE; Schema: shop; Owner: -
--

CREATE RULE add AS
    ON INSERT TO shop.open_orders DO INSTEAD ( INSERT INTO shop.orders ("Note", state)
  VALUES (new."Note", 'open'::shop.state);

 NOTIFY orders;
);


--
-- Name: orders touch; Type: TRIGGER; Schema: shop; Owner: -
--

CREATE TRIGGER touch BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();


--
-- PostgreSQL database dump complete
--

\unrestrict zJWy7QNSOXJfNJSXolPamQtFgesbGOJEZ7lksVdE1sUHSLbuhoi2ZMmhO7yK7Jo

