// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package build compiles a gadget's folder to a BPF object with the clang of this machine.
//
//	result, err := build.Dir(ctx, "./my_gadget", nil)
//
// The folder holds program.bpf.c, whatever it includes, and perhaps gadget.yaml. The headers
// <gadget/…> and <vmlinux.h> come with gizmo; <bpf/…> are libbpf's, from the system.
//
// The same input gives the same bytes: no path of this machine gets into the object, other than
// those of system headers. (Without llvm-strip the object keeps its debug information,
// which contains the paths of the build.) The cache keeps a build under the contents of every file that the compiler
// read, the compiler's version and its flags, so building an unchanged gadget again starts no
// process at all.
package build
