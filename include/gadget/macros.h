/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_MACROS_H
#define __GADGET_MACROS_H

/*
 * The parts of a gadget, declared to the loader: each macro here declares a global
 * variable that is never read.  Only its name matters: the loader finds it in the
 * object's BTF and splits it at every "___"; so no argument of a macro may
 * have three underscores in a row.
 *
 * Where the compiler can check it, an undeclared name is an error: structs,
 * maps and variables have to be declared above the macro that names them.
 * Programs usually come below, so the loader checks those.
 *
 * Use all macros at file scope.  They end in their own semicolon, so that
 * one more, or none, is fine.
 */

#include <gadget/base.h>

/* A global of external linkage survives -O2 unread; "used" says so to LTO. */
#define __gadget_marker(name) const void *name __attribute__((used))

/*
 * BTF has only those structs that something reaches, and a record that is filled
 * through a local pointer isn't: a global pointer makes sure of it.
 */
#define __gadget_keep_type(type)                                              \
	_Static_assert(sizeof(struct type) > 0, "struct " #type " is empty"); \
	const struct type *__gadget_type_##type __attribute__((used))

#define __gadget_must_exist(var) \
	_Static_assert(sizeof(var) > 0, #var " is empty")

/*
 * GADGET_TRACER: a data source of single events.
 * @name: the data source
 * @map:  the buffer of its records, made with GADGET_TRACER_MAP (buffer.h)
 * @type: each record is a struct @type
 */
#define GADGET_TRACER(name, map, type) \
	__gadget_must_exist(map);      \
	__gadget_keep_type(type);      \
	__gadget_marker(gadget_tracer_##name##___##map##___##type);

/*
 * GADGET_MAPITER: a data source of arrays, read from a hash map (and drained)
 * at each interval.  The fields are those of the key, then those of the value.
 * @name: the data source
 * @map:  the hash map, declared with __type(key, …) and __type(value, …)
 */
#define GADGET_MAPITER(name, map) \
	__gadget_must_exist(map); \
	__gadget_marker(gadget_mapiter_##name##___##map);

/*
 * GADGET_ITER: a data source of arrays, each the union of what one to three
 * iter programs write with bpf_seq_write().
 * @name: the data source
 * @type: each record is a struct @type
 * @...:  the names of the programs' functions
 */
#define GADGET_ITER(name, type, ...)                                      \
	__gadget_keep_type(type);                                         \
	__gadget_iter_pick(__VA_ARGS__, __gadget_iter_4, __gadget_iter_3, \
			   __gadget_iter_2, __gadget_iter_1,              \
			   none)(name, type, __VA_ARGS__)

#define __gadget_iter_pick(_1, _2, _3, _4, pick, ...) pick
#define __gadget_iter_1(name, type, p1) \
	__gadget_marker(gadget_iter_##name##___##type##___##p1);
#define __gadget_iter_2(name, type, p1, p2) \
	__gadget_marker(gadget_iter_##name##___##type##___##p1##___##p2);
#define __gadget_iter_3(name, type, p1, p2, p3) \
	__gadget_marker(                        \
		gadget_iter_##name##___##type##___##p1##___##p2##___##p3);
#define __gadget_iter_4(name, type, ...) \
	_Static_assert(0, "GADGET_ITER takes at most three programs");

/* GADGET_SNAPSHOTTER: the older name of GADGET_ITER. */
#define GADGET_SNAPSHOTTER(name, type, ...) GADGET_ITER(name, type, __VA_ARGS__)

/*
 * GADGET_PARAM: makes a parameter of a "const volatile" global.  Its type is
 * the parameter's, its initial value the default.
 */
#define GADGET_PARAM(var)         \
	__gadget_must_exist(var); \
	__gadget_marker(gadget_param_##var);

/*
 * GADGET_ITER_TARGET_MAP: names the map that an iter/bpf_map_elem program walks.
 * @prog: the program's function
 * @map:  the map
 */
#define GADGET_ITER_TARGET_MAP(prog, map) \
	__gadget_must_exist(map);         \
	__gadget_marker(gadget_mapelem_iter_target_##prog##___##map);

/*
 * GADGET_SK_TARGET_MAP: names the map that an sk_skb or sk_msg program is attached to.
 * @prog: the program's function
 * @map:  a SOCKMAP or SOCKHASH
 */
#define GADGET_SK_TARGET_MAP(prog, map) \
	__gadget_must_exist(map);       \
	__gadget_marker(gadget_sk_prog_target_##prog##___##map);

/*
 * GADGET_PREFER: of two programs for the same events, the second is loaded only
 * where the kernel cannot run the first.  Write it once for each pair.  Of a chain, the
 * first program that can run is loaded.  A program that stands in for several is loaded
 * if one of them cannot run, and then none of them is.
 * @first:  the function of the better program, such as an fexit
 * @second: the function of its stand-in, such as a kretprobe
 */
#define GADGET_PREFER(first, second) \
	__gadget_marker(gadget_prefer_##first##___##second);

/*
 * GADGET_LOAD_IF: a program is loaded only if a parameter is set.  Written more
 * than once for a program, any of the parameters will do.  A hook that the kernel
 * lacks is no error if its program is not to be loaded.
 * @prog: the program's function
 * @var:  a GADGET_PARAM of the type bool
 */
#define GADGET_LOAD_IF(prog, var) \
	__gadget_must_exist(var); \
	__gadget_marker(gadget_load_if_##prog##___##var);

/*
 * GADGET_TRY_IF: the same, but if the kernel cannot run the program, the gadget does
 * without.  A program may have both, each with parameters of its own.
 * @prog: the program's function
 * @var:  a GADGET_PARAM of the type bool
 */
#define GADGET_TRY_IF(prog, var)  \
	__gadget_must_exist(var); \
	__gadget_marker(gadget_try_if_##prog##___##var);

#endif /* __GADGET_MACROS_H */
