/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_COMPAT_BPF_CORE_READ_H
#define __GADGET_COMPAT_BPF_CORE_READ_H

/*
 * Additions of libbpf's <bpf/bpf_core_read.h> since version 1.1, where the
 * system's header lacks them.
 */

#include <bpf/bpf_helpers.h>
#include_next <bpf/bpf_core_read.h>

/*
 * BPF_CORE_READ() through a pointer to const declares a const variable, which it then
 * fills: clang 21 and newer warn of that, in every gadget.
 */
#ifdef __has_warning
#if __has_warning("-Wdefault-const-init-var-unsafe")
#pragma clang diagnostic ignored "-Wdefault-const-init-var-unsafe"
#endif
#endif

/*
 * bpf_core_cast: @ptr as a pointer to the kernel's @type, whose members are read with
 * plain loads; a bad address reads as zero.  On kernels from 6.2; ask
 * bpf_ksym_exists(bpf_rdonly_cast) first. (1.4)
 */
#ifndef bpf_core_cast

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;

#define bpf_core_cast(ptr, type) \
	((typeof(type) *)bpf_rdonly_cast((ptr), bpf_core_type_id_kernel(type)))

#endif

/*
 * BPF_CORE_WRITE_BITFIELD: sets the bit field @field of the struct that @s points to,
 * where the program may write to it.  (1.4)
 *
 * Seen as a number of 64 bits with the field's bytes in the lowest, shifting left by
 * LSHIFT and then right by RSHIFT isolates the field.
 */
#ifndef BPF_CORE_WRITE_BITFIELD
#define BPF_CORE_WRITE_BITFIELD(s, field, new_val)                          \
	({                                                                  \
		void *__gadget_p =                                          \
			(void *)(s) + __CORE_RELO(s, field, BYTE_OFFSET);   \
		unsigned int __gadget_left =                                \
			__CORE_RELO(s, field, LSHIFT_U64);                  \
		unsigned int __gadget_right =                               \
			__CORE_RELO(s, field, RSHIFT_U64);                  \
		unsigned long long __gadget_mask =                          \
			(~0ULL << __gadget_right) >> __gadget_left;         \
		unsigned long long __gadget_bits =                          \
			((unsigned long long)(new_val)                      \
			 << (__gadget_right - __gadget_left)) &             \
			__gadget_mask;                                      \
                                                                            \
		/* One relocation of the address, not one for each size. */ \
		barrier_var(__gadget_p);                                    \
		switch (__CORE_RELO(s, field, BYTE_SIZE)) {                 \
		case 1:                                                     \
			__gadget_set_bits(char, __gadget_p, __gadget_mask,  \
					  __gadget_bits);                   \
			break;                                              \
		case 2:                                                     \
			__gadget_set_bits(short, __gadget_p, __gadget_mask, \
					  __gadget_bits);                   \
			break;                                              \
		case 4:                                                     \
			__gadget_set_bits(int, __gadget_p, __gadget_mask,   \
					  __gadget_bits);                   \
			break;                                              \
		case 8:                                                     \
			__gadget_set_bits(long long, __gadget_p,            \
					  __gadget_mask, __gadget_bits);    \
			break;                                              \
		}                                                           \
	})

#define __gadget_set_bits(type, p, mask, bits) \
	(*(unsigned type *)(p) = (*(unsigned type *)(p) & ~(mask)) | (bits))
#endif

#endif /* __GADGET_COMPAT_BPF_CORE_READ_H */
