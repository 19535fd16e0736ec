// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import "github.com/gizmo-ebpf/gizmo/event"

func fileModeType() Type {
	return Type{
		CName:       "gadget_file_mode",
		On:          "__u32",
		Doc:         "A file's mode: its permissions, with or without the bits that tell its kind.",
		Adds:        "The mode as `ls -l` prints it. Without a kind the first character is `-`.",
		Annotations: targetAnnotation("file_mode"),
		Example:     &Example{Field: "mode", Raw: 0o100644, Text: "-rw-r--r--"},
		Extend:      shownAs(fileModeText),
	}
}

func fileModeText(f event.Field, _ *Env) event.TextFunc {
	return remember(f, func(dst []byte, b *event.Batch, row int) []byte {
		return appendFileMode(dst, f.Uint(b.Rows[row]))
	})
}

// The bits of a mode that are written in the place of an x.
const (
	modeSetUID = 0o4000
	modeSetGID = 0o2000
	modeSticky = 0o1000
)

// fileKinds has the letter of each kind of file, by bits 12 to 15 of the mode.
const fileKinds = "-pc?d?b?-?l?s???"

func appendFileMode(dst []byte, mode uint64) []byte {
	dst = append(dst, fileKinds[mode>>12&0xf])
	dst = appendPermissions(dst, mode>>6, mode&modeSetUID != 0, "Ss")
	dst = appendPermissions(dst, mode>>3, mode&modeSetGID != 0, "Ss")
	return appendPermissions(dst, mode, mode&modeSticky != 0, "Tt")
}

// appendPermissions writes the lowest three bits. With a special bit the last letter is the first of
// letters without the right to execute, else the second.
func appendPermissions(dst []byte, bits uint64, special bool, letters string) []byte {
	execute := "-x"
	if special {
		execute = letters
	}
	return append(dst, "-r"[bits>>2&1], "-w"[bits>>1&1], execute[bits&1])
}
