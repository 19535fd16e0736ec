// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// MaxPath is the largest size of a path in bytes: GADGET_PATH_MAX.
const MaxPath = 512

// Fields are the sizes in bytes, with the terminating zero, of what is kept about an owner only for gadgets that read it. Sizes are
// rounded up to multiples of 8. A field of size 0 is left out.
type Fields struct {
	Cwd     int // the working directory
	Exepath int // the executable
}

// DefaultFields are the sizes of fields if the administrator names none.
func DefaultFields() Fields { return Fields{Cwd: MaxPath, Exepath: MaxPath} }

// ParseFields parses a list such as "cwd=256,exepath=512" or "exepath": a field without a size gets the default, and one that is not in
// the list is left out. "none" leaves out all.
func ParseFields(text string) (Fields, error) {
	var f Fields
	if text == "none" {
		return f, nil
	}
	for item := range strings.SplitSeq(text, ",") {
		name, size, sized := strings.Cut(item, "=")
		field := f.field(name)
		if field == nil {
			return Fields{}, fmt.Errorf("unknown field %q%s", name, nearest.Hint(name, fieldNames))
		}
		*field = MaxPath
		if !sized {
			continue
		}
		n, err := strconv.Atoi(size)
		if err != nil || n < 2 || n > MaxPath {
			return Fields{}, fmt.Errorf("%s: size %q: want a number of bytes from 2 to %d", name, size, MaxPath)
		}
		*field = n
	}
	return f, nil
}

// String returns the list in the form that ParseFields takes.
func (f Fields) String() string {
	var items []string
	for _, name := range fieldNames {
		if size := *f.field(name); size > 0 {
			items = append(items, fmt.Sprintf("%s=%d", name, size))
		}
	}
	if len(items) == 0 {
		return "none"
	}
	return strings.Join(items, ",")
}

var fieldNames = []string{"cwd", "exepath"}

func (f *Fields) field(name string) *int {
	switch name {
	case "cwd":
		return &f.Cwd
	case "exepath":
		return &f.Exepath
	}
	return nil
}

// only returns the fields of these names.
func (f Fields) only(names []string) Fields {
	var some Fields
	for _, name := range names {
		if field := some.field(name); field != nil {
			*field = *f.field(name)
		}
	}
	return some
}

// covers reports whether owners that have f will do for gadgets that want others.
func (f Fields) covers(other Fields) bool { return f.Cwd >= other.Cwd && f.Exepath >= other.Exepath }

// rounded returns the sizes as the kernel's maps have them.
func (f Fields) rounded() Fields { return Fields{roundUp(f.Cwd), roundUp(f.Exepath)} }

func roundUp(n int) int { return (n + 7) &^ 7 }
