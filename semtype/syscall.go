// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"strconv"

	"github.com/gizmo-ebpf/gizmo/event"
)

func syscallType() Type {
	return Type{
		CName: "gadget_syscall",
		On:    "__u64",
		Doc:   "A system call's number.",
		Adds: "The call's name on the architecture that is traced. A number without a name reads " +
			"`syscall#N`.",
		Template:      "syscall",
		AddedTemplate: "syscall",
		Annotations:   targetAnnotation("syscall"),
		Example:       &Example{Field: "syscall", Raw: 41, Text: "SYS_SOCKET"},
		Extend:        shownAs(syscallText),
	}
}

func syscallText(f event.Field, env *Env) event.TextFunc {
	table := syscallNames(env.Arch)
	return func(dst []byte, b *event.Batch, row int) []byte {
		return appendSyscall(dst, table, f.Int(b.Rows[row]))
	}
}

// appendSyscall takes a signed number because the kernel says -1 for "no system call".
func appendSyscall(dst []byte, table []string, n int64) []byte {
	if n < 0 {
		return strconv.AppendInt(append(dst, "syscall#"...), n, 10)
	}
	return appendName(dst, table, uint64(n), "syscall#")
}

func syscallNames(arch string) []string {
	switch arch {
	case "amd64":
		return syscallsAMD64[:]
	case "arm64":
		return syscallsARM64[:]
	case "386":
		return syscalls386[:]
	case "arm":
		return syscallsARM[:]
	}
	return nil
}
