// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gizmo-ebpf/gizmo/oci/registry"
)

// maxPassword is how long a password may be, in bytes. Some are tokens.
const maxPassword = 64 << 10

// LoginCommand returns the command that keeps credentials of a registry.
func LoginCommand(e *Env) *cobra.Command {
	var f registryFlags
	var user, password string
	var fromInput bool
	cmd := &cobra.Command{
		Use: "login REGISTRY", Short: "Keep credentials for a registry of images",
		Long: "Asks the registry whether it accepts the credentials, and then keeps them in the file of --authfile. Without\n--username and a password gizmo asks for them.",
		Args: args(1, false, "a registry"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if fromInput && password != "" {
				return errors.New("--password and --password-stdin exclude each other")
			}
			user, password, err := e.credentials(user, password, fromInput)
			if err != nil {
				return err
			}
			if err := registry.Login(cmd.Context(), f.options(e), given[0], user, password); err != nil {
				return err
			}
			return e.say("Login Succeeded")
		},
	}
	cmd.Flags().StringVarP(&user, "username", "u", "", "name of the user")
	cmd.Flags().StringVarP(&password, "password", "p", "", "password; other users of this machine can see it, so --password-stdin is better")
	cmd.Flags().BoolVar(&fromInput, "password-stdin", false, "read the password from the standard input")
	f.register(cmd.Flags())
	return cmd
}

// credentials asks for what the flags do not say.
func (e *Env) credentials(user, password string, fromInput bool) (string, string, error) {
	if fromInput && user == "" {
		return "", "", errors.New("--password-stdin needs --username")
	}
	input := bufio.NewReader(io.LimitReader(e.In, maxPassword))
	if user == "" {
		fmt.Fprint(e.Err, "Username: ")
		line, err := input.ReadString('\n')
		if user = strings.TrimSpace(line); user == "" {
			return "", "", errors.Join(errors.New("no name of a user was given"), ignoreEOF(err))
		}
	}
	if password != "" {
		return user, password, nil
	}
	if terminal, ok := e.In.(*os.File); ok && !fromInput && term.IsTerminal(int(terminal.Fd())) {
		fmt.Fprint(e.Err, "Password: ")
		secret, err := term.ReadPassword(int(terminal.Fd()))
		fmt.Fprintln(e.Err)
		return user, string(secret), err
	}
	text, err := io.ReadAll(input)
	if password = strings.TrimRight(string(text), "\r\n"); password == "" {
		err = errors.Join(errors.New("no password was given"), err)
	}
	return user, password, err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// LogoutCommand returns the command that forgets them.
func LogoutCommand(e *Env) *cobra.Command {
	var f registryFlags
	cmd := &cobra.Command{
		Use: "logout REGISTRY", Short: "Forget the credentials for a registry of images", Args: args(1, false, "a registry"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := registry.Logout(cmd.Context(), f.options(e), given[0]); err != nil {
				return err
			}
			return e.say("Removed the credentials for %s", given[0])
		},
	}
	f.register(cmd.Flags())
	return cmd
}
