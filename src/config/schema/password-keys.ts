/** The password of a user of another server, in the config or in a file beside it. */
import { nonEmptyText, secret } from './schema-types.ts';

export const passwordKeys = {
  password: secret().describe('Its password. Shown to nobody.').optional(),
  password_file: nonEmptyText('the path of a file')
    .describe('A file with the password, relative to the config file, in the place of `password`.')
    .optional(),
};
