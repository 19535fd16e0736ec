// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// maxClashes is how often gizmo compiles a gadget again to find names that clash with the kernel's: the compiler stops at 20
// errors.
const maxClashes = 5

// clashes are the names that both the gadget and <vmlinux.h> define. The author had the types of another kernel, which
// lacks them. The gadget keeps its own definitions: the names of the kernel get a suffix, which is the flavour of a type for CO-RE, so
// the gadget still reads the kernel's data correctly.
type clashes struct {
	names []string
	// file renames the kernel's definitions, and is included before the gadget's source. It is in folder.
	file, folder string
}

const kernelSuffix = "___kernel"

// makeBeside runs the compiler as makeObject does, and again where names clash.
func (j *job) makeBeside(ctx context.Context, inc, object, deps string, w *work) ([]byte, error) {
	attempt := func() ([]byte, error) {
		cmd := j.command(ctx, inc)
		cmd.Args = append(cmd.Args, "-MD", "-MT", "object", "-MF", deps)
		return j.makeObject(ctx, cmd, inc, object, w)
	}
	messages, err := attempt()
	for i := 0; i < maxClashes && j.clashes.learn(err); i++ {
		if err := j.clashes.write(w); err != nil {
			return nil, fmt.Errorf("cannot build: %w", err)
		}
		messages, err = attempt()
	}
	warning := j.clashes.warning(j.gadget.source())
	if failed := (*CompileError)(nil); errors.As(err, &failed) {
		failed.Output = warning + failed.Output
	}
	return append([]byte(warning), messages...), err
}

var (
	clashError = regexp.MustCompile(`: error: (?:redefinition of (?:enumerator )?|use of )'([A-Za-z_]\w*)'`)
	clashNote  = regexp.MustCompile(`\bvmlinux\.h:\d+:\d+: note: previous (?:definition|declaration|use) is here`)
)

// learn finds clashes in the compiler's errors, and reports whether there are any new ones.
func (c *clashes) learn(err error) bool {
	var failed *CompileError
	if !errors.As(err, &failed) {
		return false
	}
	more, name := false, ""
	for line := range strings.Lines(failed.Output) {
		if m := clashError.FindStringSubmatch(line); m != nil {
			name = m[1]
		} else if strings.Contains(line, ": error: ") {
			name = ""
		}
		if name != "" && clashNote.MatchString(line) && !slices.Contains(c.names, name) {
			c.names = append(c.names, name)
			more = true
		}
	}
	return more
}

// write writes the file.
func (c *clashes) write(w *work) error {
	var b strings.Builder
	for _, name := range c.names {
		fmt.Fprintf(&b, "#define %s %s%s\n", name, name, kernelSuffix)
	}
	b.WriteString("#include <vmlinux.h>\n")
	for _, name := range c.names {
		fmt.Fprintf(&b, "#undef %s\n", name)
	}
	c.file, c.folder = w.path("clashes.h"), w.Path
	return os.WriteFile(c.file, []byte(b.String()), 0o600)
}

// args returns the arguments of the compiler.
func (c *clashes) args() []string {
	if c.file == "" {
		return nil
	}
	return append(prefixMap(c.folder, "/gizmo/work/"), "-include", c.file)
}

// without returns a list of files without this one, which follows from the others.
func (c *clashes) without(files []string) []string {
	return slices.DeleteFunc(files, func(f string) bool { return f == c.file })
}

// warning returns the warning about the names.
func (c *clashes) warning(source string) string {
	if len(c.names) == 0 {
		return ""
	}
	return plain.Text(fmt.Sprintf("%s: warning: <vmlinux.h> also defines %s; gizmo uses the gadget's own definitions",
		source, strings.Join(c.names, ", "))) + "\n"
}
