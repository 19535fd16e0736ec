// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import "github.com/gizmo-ebpf/gizmo/event"

func fileFlagsType() Type {
	return Type{
		CName: "gadget_file_flags",
		On:    "__u32",
		Doc:   "The flags of open(2), as the kernel numbers them on the architecture that is traced.",
		Adds: "The names of the flags, the access mode first, then those that stand for several bits. " +
			"Bits without a name follow as one number in hex.",
		Annotations: targetAnnotation("file_flags"),
		Example:     &Example{Field: "flags", Raw: 0o1101, Text: "O_WRONLY|O_CREAT|O_TRUNC"},
		Extend:      shownAs(fileFlagsText),
	}
}

// accessMask covers the two bits that are one number rather than flags.
const accessMask = 3

func fileFlagsText(f event.Field, env *Env) event.TextFunc {
	flags := newBitNames(openFlags(env.Arch), 64)
	return remember(f, func(dst []byte, b *event.Batch, row int) []byte {
		v := f.Uint(b.Rows[row])
		start := len(dst)
		dst = append(dst, accessModes[v&accessMask]...)
		return flags.append(dst, start, v&^accessMask, "|")
	})
}

// openFlags returns the flags of an architecture. For unknown architectures it returns those of amd64, which
// are the kernel's generic ones.
func openFlags(arch string) []event.EnumValue {
	switch arch {
	case "arm64":
		return openFlagsARM64
	case "386":
		return openFlags386
	case "arm":
		return openFlagsARM
	}
	return openFlagsAMD64
}
