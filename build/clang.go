// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// minClang is the first major version whose BTF has all that gadgets use.
const minClang = 14

// ErrNoClang says that there is no clang that can build gadgets.
var ErrNoClang = errors.New("clang is needed to build gadgets, and none was found in PATH")

const installClang = "install it (Debian, Ubuntu: apt-get install clang llvm libbpf-dev; " +
	"Fedora: dnf install clang llvm libbpf-devel; Alpine: apk add clang llvm libbpf-dev), " +
	"or set CLANG to its path"

// tools are the programs that a build starts.
type tools struct {
	clang   Clang
	strip   string // llvm-strip, empty if there is none
	stripID string
}

// Clang is a compiler for gadgets.
type Clang struct {
	Path string
	// Version is its own description in one line: "Debian clang version 19.1.7 (3~deb12u1)".
	Version string
	// Major is the first number of its version.
	Major int
}

// Name is what a user has to type to choose this compiler: its name if PATH finds it by that name, otherwise its path.
func (c Clang) Name() string {
	name := filepath.Base(c.Path)
	if path, err := exec.LookPath(name); err == nil && path == c.Path {
		return name
	}
	return c.Path
}

// findTools finds the compiler that the user wants, by name or in the environment, or else the
// newest in PATH.
func findTools(ctx context.Context, name string, c cache) (*tools, error) {
	if name == "" {
		name = os.Getenv("CLANG")
	}
	var cc Clang
	var err error
	if name != "" {
		cc, err = namedClang(ctx, name, c)
	} else {
		cc, err = newestClang(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	if cc.Major < minClang {
		return nil, fmt.Errorf("%s is too old (%s): gadgets need clang %d or newer; %s",
			cc.Path, cc.Version, minClang, installClang)
	}
	t := &tools{clang: cc, strip: findStrip(cc)}
	if t.strip != "" {
		t.stripID, err = identity(t.strip)
	}
	return t, err
}

func namedClang(ctx context.Context, name string, c cache) (Clang, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return Clang{}, fmt.Errorf("cannot use the chosen compiler: %w; %s", err, instead(ctx, c))
	}
	return probe(ctx, path, c)
}

// instead returns advice for a user whose chosen compiler is missing.
func instead(ctx context.Context, c cache) string {
	var names []string
	for _, cc := range allClangs(ctx, c) {
		names = append(names, cc.Name())
	}
	if len(names) == 0 {
		return "there is no other either: " + installClang
	}
	return "there are " + strings.Join(names, ", ")
}

var versionedClang = regexp.MustCompile(`^clang(-[0-9]+)?$`)

// newestClang looks for clang and clang-N in PATH. It skips compilers with an unknown
// version.
func newestClang(ctx context.Context, c cache) (Clang, error) {
	if all := allClangs(ctx, c); len(all) > 0 {
		return all[0], nil
	}
	return Clang{}, fmt.Errorf("%w: %s", ErrNoClang, installClang)
}

// allClangs returns the compilers in PATH, the newest first, and of each version the first in PATH.
func allClangs(ctx context.Context, c cache) (all []Clang) {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		for _, path := range clangsIn(dir) {
			cc, err := probe(ctx, path, c)
			if err != nil {
				c.say("skipping %s: %v", path, err)
				continue
			}
			if !slices.ContainsFunc(all, func(other Clang) bool { return other.Major == cc.Major }) {
				all = append(all, cc)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Clang) int { return b.Major - a.Major })
	return all
}

// Clangs returns the compilers in PATH that gadgets can be built with, one of each version, the newest first.
func Clangs(ctx context.Context, o *Options) []Clang {
	if o == nil {
		o = &Options{}
	}
	store, _ := openCache(o.Cache, logTo(o.Verbose))
	defer store.close()
	return slices.DeleteFunc(allClangs(ctx, store), func(c Clang) bool { return c.Major < minClang })
}

// clangsIn returns the compilers in a folder, with the name clang first.
func clangsIn(dir string) []string {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	var paths []string
	for _, name := range names {
		if !strings.HasPrefix(name, "clang") || !versionedClang.MatchString(name) {
			continue
		}
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

var clangVersion = regexp.MustCompile(`clang version ([0-9]+)\.`)

// probe finds out the version of a compiler. The cache keeps the answer as long as the file
// stays the same, because starting clang takes longer than all the rest of a cached build.
func probe(ctx context.Context, path string, c cache) (Clang, error) {
	id, err := identity(path)
	if err != nil {
		return Clang{}, err
	}
	key := checksum([]byte(id))
	text, ok := c.load(clangKind, key)
	if !ok {
		var out messages
		cmd := exec.CommandContext(ctx, path, "--version")
		cmd.Stdout = &out
		if err = run(cmd, ""); err != nil {
			return Clang{}, fmt.Errorf("%s --version: %w", path, err)
		}
		text = out.text
	}
	match := clangVersion.FindSubmatch(text)
	if match == nil {
		return Clang{}, fmt.Errorf("%s does not say which version of clang it is", path)
	}
	if !ok {
		c.save(clangKind, key, text, maxClangs)
	}
	major, err := strconv.Atoi(string(match[1]))
	line, _, _ := strings.Cut(string(text), "\n")
	return Clang{Path: path, Version: line, Major: major}, err
}

// identity changes whenever the program at path may have become another.
func identity(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	st, err := os.Stat(real)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %d %d", real, st.Size(), st.ModTime().UnixNano()), nil
}

// findStrip returns the llvm-strip that belongs to the compiler, or any.
func findStrip(cc Clang) string {
	names := []string{"llvm-strip-" + strconv.Itoa(cc.Major), "llvm-strip"}
	if real, err := filepath.EvalSymlinks(cc.Path); err == nil {
		names = append([]string{filepath.Join(filepath.Dir(real), "llvm-strip")}, names...)
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
