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
	clang   compiler
	strip   string // llvm-strip, empty if there is none
	stripID string
}

type compiler struct {
	path    string
	version string // the first line of --version
	major   int
}

// findTools finds the compiler that the user wants, by name or in the environment, or else the
// newest in PATH.
func findTools(ctx context.Context, name string, c cache) (*tools, error) {
	if name == "" {
		name = os.Getenv("CLANG")
	}
	var cc compiler
	var err error
	if name != "" {
		cc, err = namedClang(ctx, name, c)
	} else {
		cc, err = newestClang(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	if cc.major < minClang {
		return nil, fmt.Errorf("%s is too old (%s): gadgets need clang %d or newer; %s",
			cc.path, cc.version, minClang, installClang)
	}
	t := &tools{clang: cc, strip: findStrip(cc)}
	if t.strip != "" {
		t.stripID, err = identity(t.strip)
	}
	return t, err
}

func namedClang(ctx context.Context, name string, c cache) (compiler, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return compiler{}, fmt.Errorf("cannot use the compiler that was asked for: %w", err)
	}
	return probe(ctx, path, c)
}

var versionedClang = regexp.MustCompile(`^clang(-[0-9]+)?$`)

// newestClang looks for clang and clang-N in PATH. It skips compilers whose version it cannot find
// out.
func newestClang(ctx context.Context, c cache) (compiler, error) {
	if all := allClangs(ctx, c); len(all) > 0 {
		return all[0], nil
	}
	return compiler{}, fmt.Errorf("%w: %s", ErrNoClang, installClang)
}

// allClangs returns the compilers in PATH, the newest first, and of each version the first in PATH.
func allClangs(ctx context.Context, c cache) (all []compiler) {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		for _, path := range clangsIn(dir) {
			cc, err := probe(ctx, path, c)
			if err != nil {
				c.say("skipping %s: %v", path, err)
				continue
			}
			if !slices.ContainsFunc(all, func(other compiler) bool { return other.major == cc.major }) {
				all = append(all, cc)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b compiler) int { return b.major - a.major })
	return all
}

// clangsIn returns the compilers in a folder; the one without a version in its name comes first.
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
func probe(ctx context.Context, path string, c cache) (compiler, error) {
	id, err := identity(path)
	if err != nil {
		return compiler{}, err
	}
	key := checksum([]byte(id))
	text, ok := c.load(clangKind, key)
	if !ok {
		var out messages
		cmd := exec.CommandContext(ctx, path, "--version")
		cmd.Stdout = &out
		if err = run(cmd, ""); err != nil {
			return compiler{}, fmt.Errorf("%s --version: %w", path, err)
		}
		text = out.text
	}
	match := clangVersion.FindSubmatch(text)
	if match == nil {
		return compiler{}, fmt.Errorf("%s does not say which version of clang it is", path)
	}
	if !ok {
		c.save(clangKind, key, text, maxClangs)
	}
	major, err := strconv.Atoi(string(match[1]))
	line, _, _ := strings.Cut(string(text), "\n")
	return compiler{path: path, version: line, major: major}, err
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
func findStrip(cc compiler) string {
	names := []string{"llvm-strip-" + strconv.Itoa(cc.major), "llvm-strip"}
	if real, err := filepath.EvalSymlinks(cc.path); err == nil {
		names = append([]string{filepath.Join(filepath.Dir(real), "llvm-strip")}, names...)
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
