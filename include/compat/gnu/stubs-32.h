/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * <sys/socket.h> and others of the C library include this for a target that is no x86 of
 * 64 bits, as BPF is none.  A system has it only beside a C library of 32 bits.  It says
 * which functions are missing there, and programs for the kernel call none of them.
 */
