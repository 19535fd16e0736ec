// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

// job is one build: everything that the object depends on.
type job struct {
	gadget  *gadget
	arch    arch
	headers *headers
	tools   *tools
	cache   cache
	say     logFunc
	clashes clashes
}

// run answers from the cache if it can, and otherwise compiles.
func (j *job) run(ctx context.Context) (*Result, error) {
	key := j.key()
	e, ok := j.remembered(key)
	if ok {
		j.say("%s: unchanged, nothing to compile", j.gadget.source())
	} else {
		var err error
		if e, err = j.compile(ctx); err != nil {
			return nil, err
		}
		if e.Deps != nil {
			j.cache.save(objectKind, key, e.encode(), maxObjects)
		}
	}
	return &Result{
		Object:   e.object,
		Metadata: j.gadget.metadata,
		Warnings: string(e.Warnings),
		Cached:   ok,
		Source:   j.gadget.source(),
		Clang:    j.tools.clang,
	}, nil
}

// remembered returns the cache's entry of an earlier build, if all its inputs are still the same.
func (j *job) remembered(key string) (*entry, bool) {
	data, ok := j.cache.load(objectKind, key)
	if !ok {
		return nil, false
	}
	e, err := decodeEntry(data)
	if err != nil {
		j.say("cache: %v", err)
		return nil, false
	}
	if changed := e.changed(j.gadget.dir); changed != "" {
		j.say("%s: compiling again, %s has changed", j.gadget.source(), changed)
		return nil, false
	}
	return e, true
}

// steering are the environment variables that change what clang does.
var steering = []string{"CPATH", "C_INCLUDE_PATH", "CCC_OVERRIDE_OPTIONS", "NIX_CFLAGS_COMPILE", "SOURCE_DATE_EPOCH"}

// key is the checksum of all inputs that are known before the compiler runs. It does not contain the gadget's
// path, so the cache still finds a gadget that was moved.
func (j *job) key() string {
	var b bytes.Buffer
	part := func(name, value string) { fmt.Fprintf(&b, "%s %d %s\n", name, len(value), value) }
	part("name", j.gadget.name)
	part("program", checksum(j.gadget.program))
	part("headers", j.headers.id)
	part("clang", j.tools.clang.Version)
	part("strip", j.tools.stripID)
	flags := j.flags()
	if j.tools.clang.Major >= oldestTranslator {
		flags = slices.Concat(flags, translateFlags())
	}
	for _, f := range flags {
		part("flag", f)
	}
	for _, name := range steering {
		part(name, os.Getenv(name))
	}
	return checksum(b.Bytes())
}

// flags are the compiler's flags that do not depend on the folders of the gadget and gizmo's headers.
func (j *job) flags() []string {
	f := []string{
		"-target", "bpf", "-O2", "-Wall", "-D" + j.arch.macro, "-fno-color-diagnostics",
		// The source goes into the debug information because clang copies its lines from there to
		// BTF, for the verifier's log. It would look for them in the file otherwise, under the name
		// that prefixMap gave it.
		"-g", "-gdwarf-5", "-gembed-source",
		"-fdebug-compilation-dir=/gizmo/gadget",
	}
	for _, dir := range j.arch.systemDirs() {
		f = append(f, "-idirafter", dir)
	}
	return append(f, spelling(j.gadget.program)...)
}

// compile runs the compiler. The entry has no Deps if it must not be remembered.
func (j *job) compile(ctx context.Context) (*entry, error) {
	w, err := newWork(j.cache)
	if err != nil {
		return nil, fmt.Errorf("cannot build: %w", err)
	}
	defer w.remove()
	start, err := modTime(w.Path) // by the clock that also dates the sources
	if err != nil {
		return nil, fmt.Errorf("cannot build: %w", err)
	}
	inc, err := j.headers.unpack(j.cache, w)
	if err != nil {
		return nil, fmt.Errorf("cannot unpack the headers for gadgets: %w", err)
	}
	object, deps := w.path("program.o"), w.path("deps")
	warnings, err := j.makeBeside(ctx, inc, object, deps, w)
	if err != nil {
		return nil, j.blameHiders(err, inc)
	}
	e := &entry{Warnings: warnings}
	rule, err := safefile.Read(deps, "the list of files that the compiler read", maxDeps)
	if err == nil {
		err = e.note(j.gadget.name, j.clashes.without(parseDeps(string(rule))), start, &search{
			folder:  j.gadget.dir,
			gadget:  j.compiledDir(),
			headers: searched(inc, j.arch),
			fixed:   j.headers.dir == "",
		})
	}
	if err != nil {
		j.say("%s: gizmo will not cache this build: %v", j.gadget.source(), err)
	}
	e.object, err = j.stripped(ctx, w, object)
	return e, err
}

// oldestTranslator is the first version of clang that reads its intermediate code back with the debug information whole. Those
// before it complain about the source's text in it, and leave the types out.
const oldestTranslator = 17

// makeObject runs the compiler, in two steps where it can, and returns its messages.
func (j *job) makeObject(ctx context.Context, cmd *exec.Cmd, inc, object string, w *work) ([]byte, error) {
	if j.tools.clang.Major < oldestTranslator {
		cmd.Args = append(cmd.Args, "-o", object)
		return j.start(ctx, cmd, w)
	}
	code := w.path("program.bc")
	cmd.Args = append(cmd.Args, "-emit-llvm", "-o", code)
	warnings, err := j.start(ctx, cmd, w)
	if err != nil {
		return nil, err
	}
	more, err := j.translate(ctx, code, object, w)
	if err != nil {
		return nil, j.explain(ctx, inc, object, w, err)
	}
	return append(warnings, more...), nil
}

// translateFlags are for the step after "-emit-llvm". The code was optimised already.
func translateFlags() []string {
	return []string{"-target", "bpf", "-O2", "-Xclang", "-disable-llvm-passes", "-x", "ir", "-c", "-", "-o", "-"}
}

// translate makes the object from the compiler's intermediate code, and returns the compiler's messages.
// It runs in a separate process because clang sorts some of the types in BTF by their addresses in its
// memory. These depend on the lengths of all paths in its arguments; this process gets no paths.
func (j *job) translate(ctx context.Context, code, object string, w *work) ([]byte, error) {
	in, err := os.Open(code)
	if err != nil {
		return nil, fmt.Errorf("cannot build: %w", err)
	}
	defer in.Close()
	out, err := os.Create(object)
	if err != nil {
		return nil, fmt.Errorf("cannot build: %w", err)
	}
	cmd := exec.CommandContext(ctx, j.tools.clang.Path, translateFlags()...)
	cmd.Stdin, cmd.Stdout = in, out
	messages, err := j.start(ctx, cmd, w)
	if cerr := out.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("cannot build: %w", cerr)
	}
	return messages, err
}

// explain returns why the compiler cannot make an object. From its intermediate code it does not find the
// lines of the source that it complains about; from the source it does.
func (j *job) explain(ctx context.Context, inc, object string, w *work, why error) error {
	cmd := j.command(ctx, inc)
	cmd.Args = append(cmd.Args, "-o", object)
	if _, err := j.start(ctx, cmd, w); err != nil {
		return err
	}
	return why
}

// compiledDir is the gadget's folder as the compiler gets it.
func (j *job) compiledDir() string {
	if isOdd(j.gadget.dir) {
		return "."
	}
	return j.gadget.dir
}

// command makes the compiler's command line without its outputs.
func (j *job) command(ctx context.Context, inc string) *exec.Cmd {
	dir := j.compiledDir()
	args := j.flags()
	cmd := exec.CommandContext(ctx, j.tools.clang.Path)
	if isOdd(j.gadget.dir) {
		cmd.Dir = j.gadget.dir
	}
	args = append(args, prefixMap(dir, "/gizmo/gadget/")...)
	args = append(args, prefixMap(inc, "/gizmo/include/")...)
	for _, folder := range append([]string{dir}, searched(inc, j.arch)...) {
		args = append(args, "-I", folder)
	}
	args = append(args, j.clashes.args()...)
	cmd.Args = append(cmd.Args, append(args, "-c", dir+"/"+j.gadget.name)...)
	return cmd
}

// prefixMap makes the compiler write another name for everything below a folder, so that objects
// do not depend on where they were built.
func prefixMap(dir, name string) []string {
	if isOdd(dir) {
		return nil
	}
	return []string{"-ffile-prefix-map=" + dir + "/=" + name}
}

// isOdd reports whether the compiler cannot handle the name of a folder: it ends the old name of
// -ffile-prefix-map at the first "=", turns backslashes into slashes when it lists the files that it read,
// and cannot list a name with a line break.
func isOdd(dir string) bool { return strings.ContainsAny(dir, "=\\\n") }

// start runs the compiler and returns its messages.
func (j *job) start(ctx context.Context, cmd *exec.Cmd, w *work) ([]byte, error) {
	var out messages
	cmd.Stderr = &out
	j.say("%s: %s", j.tools.clang.Version, strings.Join(cmd.Args, " "))
	err := run(cmd, w.Path)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out.show(), nil
	case ctx.Err() != nil:
		return nil, j.interrupted(ctx)
	case errors.As(err, &exit) && exit.Exited():
		return nil, newCompileError(j.gadget.source(), out.show(), err)
	case errors.As(err, &exit):
		return nil, fmt.Errorf("%s did not finish: %w: %s", cmd.Path, err, out.trimmed())
	}
	return nil, fmt.Errorf("cannot run %s: %w", cmd.Path, err)
}

func (j *job) interrupted(ctx context.Context) error {
	return fmt.Errorf("building %s was interrupted: %w", j.gadget.source(), ctx.Err())
}

// stripped returns the object in the file without the debug information that only served to make
// BTF. Without llvm-strip it stays in, which is harmless.
func (j *job) stripped(ctx context.Context, w *work, object string) ([]byte, error) {
	if j.tools.strip == "" {
		j.say("the object keeps its debug information, because there is no llvm-strip: install llvm to get smaller objects")
		return safefile.Read(object, "an object", maxOutput)
	}
	small := object + ".stripped"
	cmd := exec.CommandContext(ctx, j.tools.strip, "-g", "-o", small, object)
	var out messages
	cmd.Stdout, cmd.Stderr = &out, &out
	err := run(cmd, w.Path)
	switch {
	case ctx.Err() != nil:
		return nil, j.interrupted(ctx)
	case err != nil:
		return nil, fmt.Errorf("%s: %w: %s", j.tools.strip, err, out.trimmed())
	}
	return safefile.Read(small, "an object", maxOutput)
}
