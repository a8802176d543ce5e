import { impossible, type Model } from '../model.js';
import { describeValue } from './describe.js';
import {
  describeOperation,
  type RegisterInput,
  type RegisterOutput,
  type RegisterValue,
} from './register-operation.js';
import { settleUnknownWrites } from './register-unknowns.js';

function step(
  state: RegisterValue,
  input: RegisterInput,
  output: RegisterOutput | undefined,
): RegisterValue | typeof impossible {
  switch (input.type) {
    case 'read':
      return output === undefined || (output.type === 'value' && output.value === state) ? state : impossible;
    case 'write':
      return output === undefined || output.type === 'done' ? input.value : impossible;
    case 'delete':
      if (output === undefined || output.type === 'done') return null;
      return output.type === 'nothingDeleted' && state === null ? null : impossible;
    case 'cas': {
      const matches = state === input.expected;
      if (output === undefined) return matches ? input.value : state;
      if (output.type === 'done') return matches ? input.value : impossible;
      if (output.type !== 'refused' || matches) return impossible;
      return output.current === undefined || output.current === state ? state : impossible;
    }
  }
}

/** One key of a store: read, write, delete, compare-and-set by value. Absent at first. */
export const registerModel: Model<RegisterValue, RegisterInput, RegisterOutput> = {
  name: 'register',
  init: () => null,
  step,
  identify: (state) => (state === null ? 'absent' : `=${state}`),
  identifyInput: (input) => JSON.stringify(input),
  isRead: (input) => input.type === 'read',
  settleUnknown: settleUnknownWrites,
  describeOperation,
  describeState: describeValue,
};
