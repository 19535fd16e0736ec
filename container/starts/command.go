// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package starts

import (
	"path/filepath"
	"strings"
)

// command is a command of an OCI runtime that makes a container.
type command struct {
	runtime string // "runc", "crun"
	id      string
	bundle  string // its folder
	pidFile string // empty: there is none
}

// key is the same for all commands that make the same container.
func (c *command) key() string { return c.id + "\x00" + c.bundle }

// flagsWithValue are the flags of runc and crun whose value is the argument after them.
var flagsWithValue = map[string]bool{
	"--bundle": true, "-b": true, "--pid-file": true, "--console-socket": true, "--root": true, "--log": true, "--log-format": true,
	"--criu": true, "--rootless": true, "--preserve-fds": true, "--config": true, "-f": true, "--cgroup-manager": true,
}

// parseCommand reads the command line of a process that is about to be, or is, an OCI runtime: "runc create --bundle DIR
// --pid-file FILE ID", or run in place of create. It makes paths absolute with the process's working folder.
func parseCommand(args []string, folder string) (c command, ok bool) {
	if len(args) < 3 {
		return c, false
	}
	c.runtime = filepath.Base(args[0])
	var words []string
	c.bundle = "."
	for i := 1; i < len(args); i++ {
		flag, value, joined := strings.Cut(args[i], "=")
		switch {
		case !strings.HasPrefix(flag, "-"):
			words = append(words, args[i])
			continue
		case !flagsWithValue[flag]:
			continue
		case !joined && i+1 < len(args):
			i++
			value = args[i]
		}
		switch flag {
		case "--bundle", "-b":
			c.bundle = value
		case "--pid-file":
			c.pidFile = value
		}
	}
	if len(words) < 2 || words[0] != "create" && words[0] != "run" {
		return c, false
	}
	c.id = words[len(words)-1]
	c.bundle = absolute(c.bundle, folder)
	if c.pidFile != "" {
		c.pidFile = absolute(c.pidFile, folder)
	}
	return c, true
}

func absolute(path, folder string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(folder, path)
	}
	return filepath.Clean(path)
}
