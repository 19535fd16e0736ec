// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// kernel is a kernel to boot.
type kernel struct {
	version string
	image   string // file
	modules string // folder; empty: the kernel has none
}

// defaultPackage depends on the kernel that the distribution installs.
const defaultPackage = "linux-image-amd64"

// findKernel returns the kernel that the user names by a file or a package. The empty name means
// the newest kernel that is installed or, without one, the distribution's.
func findKernel(ctx context.Context, name string) (*kernel, error) {
	switch {
	case name == "":
		if k := newestIn("/"); k != nil {
			return k, nil
		}
		return fetchKernel(ctx, defaultPackage)
	case strings.ContainsRune(name, '/'):
		return kernelFile(name)
	}
	return fetchKernel(ctx, name)
}

// newestIn returns the newest kernel below a root folder that comes with modules, nil if there is
// none. It skips files that cannot be read.
func newestIn(root string) *kernel {
	images, _ := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*"))
	slices.SortFunc(images, compareVersions)
	for _, image := range slices.Backward(images) {
		if k, err := kernelFile(image); err == nil && k.modules != "" {
			return k
		}
	}
	return nil
}

// kernelFile looks for the modules beside the file, beside its folder, and where they are installed.
func kernelFile(image string) (*kernel, error) {
	image, err := filepath.Abs(image)
	if err != nil {
		return nil, err
	}
	version, err := imageVersion(image)
	if err != nil {
		return nil, err
	}
	k := &kernel{version: version, image: image}
	dir := filepath.Dir(image)
	for _, root := range []string{dir, filepath.Dir(dir), "/"} {
		modules := filepath.Join(root, "lib/modules", version)
		if _, err := os.Stat(filepath.Join(modules, dependencies)); err == nil {
			k.modules = modules
			break
		}
	}
	return k, nil
}

// imageVersion reads a kernel's version from its file, a bzImage.
func imageVersion(image string) (string, error) {
	f, err := os.Open(image)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, 64<<10)
	n, err := f.ReadAt(head, 0)
	if n == 0 {
		return "", fmt.Errorf("%s: %w", image, err)
	}
	version, err := parseImageHead(head[:n])
	if err != nil {
		return "", fmt.Errorf("%s: %w", image, err)
	}
	return version, nil
}

// parseImageHead reads the version of the kernel from the boot protocol's header: a pointer to a text that starts
// with the version.
func parseImageHead(head []byte) (string, error) {
	const magicAt, pointerAt, base = 0x202, 0x20e, 0x200
	if len(head) < pointerAt+2 || string(head[magicAt:magicAt+4]) != "HdrS" {
		return "", errors.New("not a bzImage")
	}
	at := base + int(binary.LittleEndian.Uint16(head[pointerAt:]))
	if at >= len(head) {
		return "", errors.New("a bzImage without its version")
	}
	text, _, _ := bytes.Cut(head[at:], []byte{0})
	version, _, _ := strings.Cut(string(text), " ")
	if version == "" || strings.ContainsRune(version, '/') {
		return "", fmt.Errorf("a bzImage with an odd version, %q", version)
	}
	return version, nil
}

// fetchKernel downloads a package, and those with the kernel or its modules that it depends on, and
// unpacks them into the user's cache.
func fetchKernel(ctx context.Context, name string) (*kernel, error) {
	packages, err := kernelPackages(ctx, name)
	if err != nil {
		return nil, err
	}
	kernels, err := cacheFolder("kernels")
	if err != nil {
		return nil, err
	}
	tree := filepath.Join(kernels, strings.Join(packages, "+"))
	if _, err := os.Stat(tree); err != nil {
		if err := fetchTree(ctx, packages, tree); err != nil {
			return nil, fmt.Errorf("fetch the kernel %s: %w", name, err)
		}
	}
	if k := newestIn(tree); k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("there is no kernel with modules in the package %s", name)
}

// kernelPackages returns the package and its dependencies, which have the image and
// the modules.
func kernelPackages(ctx context.Context, name string) ([]string, error) {
	list := []string{name}
	for i := 0; i < len(list); i++ {
		text, err := output(exec.CommandContext(ctx, "apt-cache", "depends", "--no-recommends", "--no-suggests", list[i]))
		if err != nil {
			return nil, fmt.Errorf("no kernel package %s is known (\"apt-get update\" makes all known): %w", list[i], err)
		}
		for _, p := range dependsOn(text) {
			if !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	return list, nil
}

// dependsOn returns the kernel's packages in the output of apt-cache.
func dependsOn(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: ")
		if ok && (strings.HasPrefix(name, "linux-image-") || strings.HasPrefix(name, "linux-modules-")) {
			list = append(list, name)
		}
	}
	return list
}

// fetchTree makes the folder appear with all contents of the packages, or not at all.
func fetchTree(ctx context.Context, packages []string, tree string) error {
	temp, err := os.MkdirTemp(filepath.Dir(tree), ".tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	fmt.Fprintln(os.Stderr, "vm: downloading", strings.Join(packages, ", "))
	download := exec.CommandContext(ctx, "apt-get", append([]string{"-qq", "-o", "APT::Sandbox::User=root", "download"}, packages...)...)
	download.Dir = temp
	if _, err := output(download); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(temp, "*.deb"))
	if err != nil {
		return err
	}
	fresh := filepath.Join(temp, "fresh")
	for _, deb := range debs {
		if _, err := output(exec.CommandContext(ctx, "dpkg-deb", "-x", deb, fresh)); err != nil {
			return err
		}
	}
	if err := indexModules(ctx, fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, tree); err != nil && !errors.Is(err, os.ErrExist) { // or another process was quicker
		return err
	}
	return nil
}

// indexModules does what installing the package would do: it writes which module needs which.
func indexModules(ctx context.Context, root string) error {
	dirs, err := filepath.Glob(filepath.Join(root, "lib/modules/*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if _, err := output(exec.CommandContext(ctx, sbin("depmod"), "-b", root, filepath.Base(dir))); err != nil {
			return err
		}
	}
	return nil
}

// sbin finds a program for administrators, whose folder is not always in PATH.
func sbin(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return "/usr/sbin/" + name
}

// compareVersions compares texts in which numbers count as such: vmlinuz-6.9 comes before
// vmlinuz-6.12.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		if isDigit(a[0]) && isDigit(b[0]) {
			var x, y int
			x, a = leadingNumber(a)
			y, b = leadingNumber(b)
			if x != y {
				return cmp.Compare(x, y)
			}
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func leadingNumber(s string) (int, string) {
	end := 0
	for end < len(s) && isDigit(s[end]) {
		end++
	}
	n, _ := strconv.Atoi(s[:end])
	return n, s[end:]
}
