/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_COMPAT_BPF_HELPERS_H
#define __GADGET_COMPAT_BPF_HELPERS_H

/*
 * Additions of libbpf's <bpf/bpf_helpers.h> since version 1.1, where the system's
 * header lacks them.  The number after each is the version of libbpf that added it.
 */

#include_next <bpf/bpf_helpers.h>

/*
 * Those of user space know nothing of CO-RE: a field's place in the kernel of today
 * would be compiled in.  (1.2)
 */
#undef offsetof
#define offsetof(type, member) ((unsigned long)&((type *)0)->member)
#undef container_of
#define container_of(ptr, type, member)                             \
	({                                                          \
		char *__gadget_member = (char *)(ptr);              \
		(type *)(__gadget_member - offsetof(type, member)); \
	})

/* Pointers to the kernel's objects in maps. */
#ifndef __kptr_untrusted /* 1.2 */
#define __kptr_untrusted __attribute__((btf_type_tag("kptr_untrusted")))
#endif
#ifndef __percpu_kptr /* 1.3 */
#define __percpu_kptr __attribute__((btf_type_tag("percpu_kptr")))
#endif
#ifndef __uptr /* 1.6 */
#define __uptr __attribute__((btf_type_tag("uptr")))
#endif

/* What the verifier may assume about a global function's arguments. */
#ifndef __arg_ctx /* 1.4 */
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#endif
#ifndef __arg_nonnull /* 1.4 */
#define __arg_nonnull __attribute__((btf_decl_tag("arg:nonnull")))
#endif
#ifndef __arg_nullable /* 1.4 */
#define __arg_nullable __attribute__((btf_decl_tag("arg:nullable")))
#endif
#ifndef __arg_trusted /* 1.4 */
#define __arg_trusted __attribute__((btf_decl_tag("arg:trusted")))
#endif
#ifndef __arg_untrusted /* 1.7 */
#define __arg_untrusted __attribute__((btf_decl_tag("arg:untrusted")))
#endif
#ifndef __arg_arena /* 1.5 */
#define __arg_arena __attribute__((btf_decl_tag("arg:arena")))
#endif

/* A member of a map's declaration, like __uint(), of 64 bits. (1.4) */
#ifndef __ulong
#define __ulong(name, val) \
	enum { ___bpf_concat(__unique_value, __COUNTER__) = (val) } name
#endif

#ifndef likely /* 1.6 */
#define likely(x) __builtin_expect(!!(x), 1)
#endif
#ifndef unlikely /* 1.6 */
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif

/* Whether the kernel has a symbol, which has to be declared __ksym __weak. (1.2) */
#ifndef bpf_ksym_exists
#define bpf_ksym_exists(sym)                                       \
	({                                                         \
		_Static_assert(!__builtin_constant_p(!!sym),       \
			       #sym " has to be declared __weak"); \
		!!sym;                                             \
	})
#endif

/* For the loops below; a gadget with its own, older vmlinux.h lacks it. */
struct bpf_iter_num;

/*
 * Loops that the verifier goes through once, however often they run, on kernels from
 * 6.4; ask bpf_ksym_exists(bpf_iter_num_new) first. (1.3)
 */
#ifndef bpf_for

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start,
			    int end) __weak __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __weak __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __weak __ksym;

/*
 * Declares the iterator of a loop, which ends with the loop however the loop is left.  BTF
 * has the function that ends it only if the code mentions the function.
 */
#define __gadget_iter(type, args...)                                 \
	struct bpf_iter_##type __gadget_it __attribute__((           \
		aligned(8), cleanup(bpf_iter_##type##_destroy))),    \
		*__gadget_it_started __attribute__((unused)) = ({    \
			bpf_iter_##type##_new(&__gadget_it, ##args); \
			(void)bpf_iter_##type##_destroy;             \
			&__gadget_it;                                \
		})

/*
 * bpf_for: runs the following statement with @i from @start to @end - 1.  @start and
 * @end must not change meanwhile.  The verifier knows the bounds of @i.
 */
#define bpf_for(i, start, end)                                          \
	for (__gadget_iter(num, (start), (end)); ({                     \
		     int *__gadget_i = bpf_iter_num_next(&__gadget_it); \
		     __gadget_i && ((i) = *__gadget_i,                  \
				    (i) >= (start) && (i) < (end));     \
	     });)

/* bpf_repeat: runs the following statement @n times. */
#define bpf_repeat(n) \
	for (__gadget_iter(num, 0, (n)); bpf_iter_num_next(&__gadget_it);)

/*
 * bpf_for_each: runs the following statement for each object of the kernel's iterator @type.
 * @type: vmlinux.h or the gadget itself has to declare struct bpf_iter_@type and the
 *        functions of that name that end in _new, _next and _destroy, __ksym __weak;
 *        except for num
 * @cur:  a pointer, set to each object in turn
 * @...:  the arguments of the function for a new iterator
 */
#define bpf_for_each(type, cur, args...)  \
	for (__gadget_iter(type, ##args); \
	     ((cur) = bpf_iter_##type##_next(&__gadget_it));)

#endif /* !bpf_for */

#endif /* __GADGET_COMPAT_BPF_HELPERS_H */
