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
		Adds: "The call's name on the architecture that is traced. With bit 32 set " +
			"(`GADGET_SYSCALL_COMPAT`) it is the call of a 32-bit program on a 64-bit kernel, which has other " +
			"numbers; with bit 30 (x86) one of the x32 ABI. A number without a name reads `syscall#N`.",
		Template:      "syscall",
		AddedTemplate: "syscall",
		Annotations:   targetAnnotation("syscall"),
		Example:       &Example{Field: "syscall", Raw: 41, Text: "SYS_SOCKET"},
		Extend:        shownAs(syscallText),
	}
}

func syscallText(f event.Field, env *Env) event.TextFunc {
	calls := syscallsOf(env.Arch)
	return func(dst []byte, b *event.Batch, row int) []byte {
		return calls.append(dst, f.Int(b.Rows[row]))
	}
}

const (
	// compatCall is GADGET_SYSCALL_COMPAT of <gadget/types.h>: ours.
	compatCall = 1 << 32
	// x32Call is __X32_SYSCALL_BIT of the kernel's <asm/unistd.h>.
	x32Call = 1 << 30
)

// syscalls are the calls that programs of one machine can make.
type syscalls struct {
	native, compat []string
	x32            bool
}

func syscallsOf(arch string) syscalls {
	c := syscalls{native: syscallNames(arch)}
	switch arch {
	case "amd64":
		c.compat, c.x32 = syscalls386[:], true
	case "arm64":
		c.compat = syscallsARM[:]
	}
	return c
}

// append takes a signed number because the kernel says -1 for "no system call".
func (c *syscalls) append(dst []byte, n int64) []byte {
	if n < 0 {
		return strconv.AppendInt(append(dst, "syscall#"...), n, 10)
	}
	nr, table := uint64(n), c.native
	switch {
	case c.compat != nil && nr>>32 == compatCall>>32:
		nr, table = nr-compatCall, c.compat
	case c.x32 && nr&^(x32Call-1) == x32Call:
		nr -= x32Call
	}
	if nr >= uint64(len(table)) || table[nr] == "" { // the number as it is in the record
		return strconv.AppendInt(append(dst, "syscall#"...), n, 10)
	}
	return append(dst, table[nr]...)
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
